import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.JarFile;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the tests of one jar: all, those that the pattern TESTBRIDGE_TEST_ONLY finds in "package.Class#method", or one
 * shard of them.
 */
public final class BldrJUnitRunner implements TestExecutionListener {
    private static final class Case {
        String className;
        String name;
        double seconds;
        String kind;
        String message;
        String details;
    }

    private final Map<String, Long> started = new LinkedHashMap<>();
    private final List<Case> cases = new ArrayList<>();
    private TestPlan plan;

    public static void main(String[] arguments) throws Exception {
        String only = System.getenv("TESTBRIDGE_TEST_ONLY");
        int shards = number("TEST_TOTAL_SHARDS", 1);
        int shard = number("TEST_SHARD_INDEX", 0);
        String status = System.getenv("TEST_SHARD_STATUS_FILE");
        if (status != null && !status.isEmpty()) {
            Files.createDirectories(Path.of(status).toAbsolutePath().getParent());
            Files.write(Path.of(status), new byte[0]);
        }
        List<DiscoverySelector> classes = new ArrayList<>();
        try (JarFile jar = new JarFile(arguments[0])) {
            List<String> names = jar.stream().map(entry -> entry.getName()).filter(name -> name.endsWith(".class"))
                .filter(name -> name.indexOf('$') < 0 && !name.endsWith("-info.class"))
                .sorted().collect(Collectors.toList());
            for (String name : names) {
                String found = name.substring(0, name.length() - ".class".length()).replace('/', '.');
                if (!found.equals("BldrJUnitRunner")) {
                    classes.add(DiscoverySelectors.selectClass(found));
                }
            }
        }
        LauncherDiscoveryRequestBuilder request = LauncherDiscoveryRequestBuilder.request().selectors(classes);
        if (only != null && !only.isEmpty()) {
            Pattern pattern = Pattern.compile(only);
            request.filters((PostDiscoveryFilter) descriptor -> FilterResult.includedIf(
                !descriptor.getSource().filter(MethodSource.class::isInstance).isPresent()
                    || pattern.matcher(place(descriptor.getSource().get())).find()));
        }
        int[] counted = {0};
        request.filters((PostDiscoveryFilter) descriptor -> FilterResult.includedIf(
            !descriptor.getSource().filter(MethodSource.class::isInstance).isPresent()
                || counted[0]++ % shards == shard));
        BldrJUnitRunner runner = new BldrJUnitRunner();
        LauncherDiscoveryRequest built = request.build();
        Launcher launcher = LauncherFactory.create();
        launcher.execute(built, runner);
        System.out.flush();
        boolean failed = runner.report(System.getenv("XML_OUTPUT_FILE"));
        if (runner.cases.isEmpty() && counted[0] == 0) {
            System.err.println(only == null ? "there are no tests" : "no test fits \"" + only + "\"");
            failed = true;
        }
        System.exit(failed ? 1 : 0);
    }

    private static int number(String variable, int otherwise) {
        String value = System.getenv(variable);
        return value == null || value.isEmpty() ? otherwise : Integer.parseInt(value);
    }

    private static String place(TestSource source) {
        if (source instanceof MethodSource) {
            MethodSource method = (MethodSource) source;
            return method.getClassName() + "#" + method.getMethodName();
        }
        return source instanceof ClassSource ? ((ClassSource) source).getClassName() : "";
    }

    @Override
    public void testPlanExecutionStarted(TestPlan plan) {
        this.plan = plan;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        started.put(test.getUniqueId(), System.nanoTime());
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        add(test, "skipped", reason, "");
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        boolean passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        if (passed && !test.isTest()) {
            return;
        }
        Throwable thrown = result.getThrowable().orElse(null);
        if (passed) {
            add(test, "", "", "");
        } else if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
            add(test, "skipped", thrown == null ? "" : String.valueOf(thrown.getMessage()), "");
        } else {
            StringWriter text = new StringWriter();
            if (thrown != null) {
                thrown.printStackTrace(new PrintWriter(text, true));
            }
            add(test, thrown instanceof AssertionError ? "failure" : "error", String.valueOf(thrown), text.toString());
        }
    }

    private void add(TestIdentifier test, String kind, String message, String details) {
        Case one = new Case();
        String place = test.getSource().map(BldrJUnitRunner::place).orElse("");
        if (place.isEmpty()) {
            place = plan.getParent(test).flatMap(TestIdentifier::getSource).map(BldrJUnitRunner::place).orElse("");
        }
        one.className = place.isEmpty() ? test.getDisplayName() : place.replaceFirst("#.*", "");
        one.name = test.getDisplayName();
        long now = System.nanoTime();
        one.seconds = (now - started.getOrDefault(test.getUniqueId(), now)) / 1e9;
        one.kind = kind;
        one.message = message;
        one.details = details;
        cases.add(one);
        System.out.println((kind.isEmpty() ? "passed" : kind.equals("error") ? "failed" : kind.replace("failure", "failed"))
            + "  " + one.className + " " + one.name + (message.isEmpty() ? "" : ": " + message));
        if (!details.isEmpty()) {
            System.out.println(details);
        }
    }

    /** Writes the report, and tells whether anything failed. */
    private boolean report(String path) throws IOException {
        long failures = cases.stream().filter(one -> one.kind.equals("failure")).count();
        long errors = cases.stream().filter(one -> one.kind.equals("error")).count();
        long skipped = cases.stream().filter(one -> one.kind.equals("skipped")).count();
        System.out.println(cases.size() + " tests, " + (failures + errors) + " failed, " + skipped + " skipped");
        if (path != null && !path.isEmpty()) {
            StringBuilder xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
            xml.append(String.format("<testsuite name=\"JUnit\" tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\">\n",
                cases.size(), failures, errors, skipped));
            for (Case one : cases) {
                xml.append("  <testcase classname=\"").append(escaped(one.className)).append("\" name=\"")
                    .append(escaped(one.name)).append("\" time=\"")
                    .append(String.format(java.util.Locale.ROOT, "%.3f", one.seconds)).append("\"");
                if (one.kind.isEmpty()) {
                    xml.append("/>\n");
                } else {
                    xml.append(">\n    <").append(one.kind).append(" message=\"").append(escaped(one.message)).append("\">")
                        .append(escaped(one.details)).append("</").append(one.kind).append(">\n  </testcase>\n");
                }
            }
            Files.write(Path.of(path), xml.append("</testsuite>\n").toString().getBytes(StandardCharsets.UTF_8));
        }
        return failures + errors > 0;
    }

    private static String escaped(String text) {
        StringBuilder safe = new StringBuilder();
        text.codePoints()
            .filter(c -> c == '\t' || c == '\n' || c >= 0x20 && c < 0xD800 || c > 0xDFFF && c != 0xFFFE && c != 0xFFFF)
            .forEach(c -> {
                switch (c) {
                    case '&': safe.append("&amp;"); break;
                    case '<': safe.append("&lt;"); break;
                    case '>': safe.append("&gt;"); break;
                    case '"': safe.append("&quot;"); break;
                    default: safe.appendCodePoint(c);
                }
            });
        return safe.toString();
    }
}
