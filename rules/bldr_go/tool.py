"""The program that compiles one package: it is built with the standard library, once, and run by every other action.

Only a program can know what a handler may not look at: which sources the build constraints leave, what they embed, and
which functions are tests. Its argument is a file of JSON, `Job` in the source below; paths are relative to the tree.
"""

SOURCE = r"""
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type Job struct {
	Mode       string            // "compile", "test" or "link"
	ImportPath string            // of the package, "main" for that of a program
	Directory  string            // of the sources
	Std        string            // the directory that the standard library was compiled into
	Packages   map[string]string // import path to file
	Export     string            // what dependents are compiled with
	Object     string            // what programs are linked of; "link": of the package main
	Output     string            // "link": the program; "test": a directory
	Tags       []string
	Flags      []string
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	check(err)
	var job Job
	check(json.Unmarshal(text, &job))
	switch job.Mode {
	case "compile":
		compilePackage(job)
	case "test":
		compileTest(job)
	case "link":
		link(job)
	}
}

func compilePackage(job Job) {
	found := sources(job)
	if len(found.TestGoFiles)+len(found.XTestGoFiles) > 0 {
		fail("%s holds tests: they belong to a target of type test", job.Directory)
	}
	if (found.Name == "main") != (job.ImportPath == "main") {
		fail("%s is package %s: a program is package main, and a library is not", job.Directory, found.Name)
	}
	checkImports(job, found.ImportPos)
	own := unit{job.ImportPath, job.Directory, found.GoFiles, found.SFiles, found.EmbedPatterns}
	compile(job, own, job.Export, job.Object)
}

// compileTest leaves up to three packages in the output directory, and a list of what the program is linked of.
func compileTest(job Job) {
	check(os.MkdirAll(job.Output, 0o755))
	found := sources(job)
	plain := append(append([]string{}, found.GoFiles...), found.TestGoFiles...)
	linked := map[string]string{}
	inside, outside := job.Output+"/inside", job.Output+"/outside"
	tests := testMain{ImportPath: job.ImportPath, directory: job.Directory}
	if len(plain) > 0 {
		checkImports(job, found.ImportPos)
		checkImports(job, found.TestImportPos)
		patterns := append(append([]string{}, found.EmbedPatterns...), found.TestEmbedPatterns...)
		compile(job, unit{job.ImportPath, job.Directory, plain, found.SFiles, patterns}, inside+".x", inside+".a")
		job.Packages[job.ImportPath] = inside + ".x"
		linked[job.ImportPath] = inside + ".a"
		tests.read("_test", job.Directory, found.TestGoFiles)
	}
	if len(found.XTestGoFiles) > 0 {
		checkImports(job, found.XTestImportPos)
		name := job.ImportPath + "_test"
		tested := unit{name, job.Directory, found.XTestGoFiles, nil, found.XTestEmbedPatterns}
		compile(job, tested, outside+".x", outside+".a")
		job.Packages[name] = outside + ".x"
		linked[name] = outside + ".a"
		tests.read("_xtest", job.Directory, found.XTestGoFiles)
	}
	directory := temporary()
	check(os.WriteFile(directory+"/main.go", tests.source(), 0o644))
	compile(job, unit{"main", directory, []string{"main.go"}, nil, nil}, job.Output+"/main.x", job.Output+"/main.a")
	text, err := json.Marshal(linked)
	check(err)
	check(os.WriteFile(job.Output+"/linked.json", text, 0o644))
}

func link(job Job) {
	if text, err := os.ReadFile(path.Dir(job.Object) + "/linked.json"); err == nil {
		check(json.Unmarshal(text, &job.Packages)) // what the test compiled takes the place of the library
	}
	arguments := []string{"-o", job.Output, "-importcfg", importcfg(job, ".a"), "-buildmode=exe", "-buildid="}
	run("go-link", append(append(arguments, job.Flags...), job.Object)...)
}

func sources(job Job) *build.Package {
	context := build.Default
	context.CgoEnabled = false
	context.BuildTags = job.Tags
	found, err := context.ImportDir("./"+job.Directory, 0)
	check(err)
	return found
}

// checkImports says what is missing in the words of Builderfiles, where the compiler would name a file.
func checkImports(job Job, imports map[string][]token.Position) {
	missing := []string{}
	for name, places := range imports {
		if _, err := os.Stat(job.Std + "/" + name + ".a"); err == nil || name == "unsafe" || job.Packages[name] != "" {
			continue
		}
		advice := "is the import_path of none of the deps"
		if !strings.Contains(strings.Split(name, "/")[0], ".") {
			advice += ", nor a package of the standard library that was compiled (see its packages)"
		}
		missing = append(missing, fmt.Sprintf("%s: %q %s", places[0], name, advice))
	}
	if len(missing) > 0 {
		sort.Strings(missing)
		fail("%s", strings.Join(missing, "\n"))
	}
}

type unit struct {
	importPath string
	directory  string
	files      []string
	assembly   []string
	patterns   []string
}

func compile(job Job, unit unit, export, object string) {
	root, err := os.Getwd()
	check(err)
	trim := "-trimpath=" + root + "=>"
	if path.IsAbs(unit.directory) {
		trim = "-trimpath=" + unit.directory + "=>"
	}
	work := temporary()
	arguments := []string{"-o", export, "-linkobj", object, "-pack", "-p", unit.importPath, trim,
		"-importcfg", importcfg(job, ".a"), "-c=1", "-buildid="}
	if len(unit.assembly) == 0 {
		arguments = append(arguments, "-complete")
	} else {
		assemble(job, unit, trim, "-gensymabis", work+"/symabis")
		arguments = append(arguments, "-symabis", work+"/symabis", "-asmhdr", work+"/go_asm.h")
	}
	if len(unit.patterns) > 0 {
		arguments = append(arguments, "-embedcfg", embedcfg(unit, work))
	}
	arguments = append(arguments, job.Flags...)
	for _, file := range unit.files {
		arguments = append(arguments, in(unit.directory, file))
	}
	run("go-compile", arguments...)
	for i := range unit.assembly {
		one := unit
		one.assembly = unit.assembly[i : i+1]
		made := fmt.Sprintf("%s/asm%d.o", work, i)
		assemble(job, one, trim, "-I="+work, made)
		add(object, fmt.Sprintf("asm%d.o", i), made)
	}
}

func in(directory, file string) string {
	if path.IsAbs(directory) {
		return directory + "/" + file
	}
	return "./" + path.Join(directory, file)
}

func assemble(job Job, unit unit, trim, how, made string) {
	arguments := []string{"-p", unit.importPath, trim, "-I", "./" + unit.directory, "-I", include(),
		"-D", "GOOS_" + build.Default.GOOS, "-D", "GOARCH_" + build.Default.GOARCH, how, "-o", made}
	for _, file := range unit.assembly {
		arguments = append(arguments, in(unit.directory, file))
	}
	if strings.HasPrefix(how, "-gensymabis") {
		header := strings.TrimSuffix(made, "symabis") + "empty"
		check(os.MkdirAll(header, 0o755))
		check(os.WriteFile(header+"/go_asm.h", nil, 0o644))
		arguments = append([]string{"-I", header}, arguments...)
	}
	run("go-asm", arguments...)
}

// include is where the headers of the assembler stand that come with Go.
func include() string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	check(err)
	return strings.TrimSpace(string(root)) + "/pkg/include"
}

// add appends an object to an archive, as cmd/pack does.
func add(archive, name, object string) {
	content, err := os.ReadFile(object)
	check(err)
	file, err := os.OpenFile(archive, os.O_WRONLY|os.O_APPEND, 0)
	check(err)
	_, err = fmt.Fprintf(file, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, 0, 0, 0, 0o644, len(content))
	check(err)
	if len(content)%2 != 0 {
		content = append(content, 0)
	}
	_, err = file.Write(content)
	check(err)
	check(file.Close())
}

// importcfg says where imports are found: the standard library, then the packages that the job names.
func importcfg(job Job, extension string) string {
	var text bytes.Buffer
	check(filepath.WalkDir(job.Std, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, extension) {
			known := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), job.Std+"/"), extension)
			fmt.Fprintf(&text, "packagefile %s=%s\n", known, name)
		}
		return err
	}))
	names := []string{}
	for name := range job.Packages {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(&text, "packagefile %s=%s\n", name, job.Packages[name])
	}
	made := temporary() + "/importcfg"
	check(os.WriteFile(made, text.Bytes(), 0o644))
	return made
}

// embedcfg resolves the patterns of //go:embed: a directory stands for its files, hidden ones left out without "all:".
func embedcfg(unit unit, work string) string {
	config := struct {
		Patterns map[string][]string
		Files    map[string]string
	}{map[string][]string{}, map[string]string{}}
	for _, pattern := range unit.patterns {
		glob := strings.TrimPrefix(pattern, "all:")
		matches, err := filepath.Glob(filepath.Join(unit.directory, glob))
		check(err)
		list := []string{}
		for _, match := range matches {
			check(filepath.WalkDir(match, func(name string, entry fs.DirEntry, err error) error {
				hidden := strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(path.Base(name), "_")
				if err != nil || name != match && hidden && glob == pattern {
					if err == nil && entry.IsDir() {
						return filepath.SkipDir
					}
					return err
				}
				if !entry.IsDir() {
					inside, err := filepath.Rel(unit.directory, name)
					check(err)
					list = append(list, inside)
					config.Files[inside] = name
				}
				return nil
			}))
		}
		if len(list) == 0 {
			fail("//go:embed %s matches nothing: its files belong into the attribute embed", pattern)
		}
		sort.Strings(list)
		config.Patterns[pattern] = list
	}
	text, err := json.Marshal(config)
	check(err)
	made := work + "/embedcfg"
	check(os.WriteFile(made, text, 0o644))
	return made
}

type testMain struct {
	ImportPath                                      string
	imports, tests, benchmarks, fuzzTests, examples []string
	directory, main                                 string
}

func (tests *testMain) read(alias, directory string, names []string) {
	if len(names) == 0 {
		return
	}
	files, set, used := []*ast.File{}, token.NewFileSet(), false
	for _, name := range names {
		file, err := parser.ParseFile(set, filepath.Join(directory, name), nil, parser.ParseComments)
		check(err)
		files = append(files, file)
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok || function.Recv != nil {
				continue
			}
			name := function.Name.Name
			entry := fmt.Sprintf("{%q, %s.%s},\n", name, alias, name)
			switch {
			case name == "TestMain" && takes(function, "M"):
				tests.main, used = alias+".TestMain", true
			case isTest(name, "Test") && takes(function, "T"):
				tests.tests, used = append(tests.tests, entry), true
			case isTest(name, "Benchmark") && takes(function, "B"):
				tests.benchmarks, used = append(tests.benchmarks, entry), true
			case isTest(name, "Fuzz") && takes(function, "F"):
				tests.fuzzTests, used = append(tests.fuzzTests, entry), true
			}
		}
	}
	for _, example := range doc.Examples(files...) {
		if example.Output != "" || example.EmptyOutput {
			tests.examples = append(tests.examples, fmt.Sprintf("{%q, %s.Example%s, %q, %t},\n",
				"Example"+example.Name, alias, example.Name, example.Output, example.Unordered))
			used = true
		}
	}
	importPath := tests.ImportPath
	if alias == "_xtest" {
		importPath += "_test"
	}
	if !used {
		alias = "_"
	}
	tests.imports = append(tests.imports, fmt.Sprintf("\t%s %q\n", alias, importPath))
}

// isTest is the rule of the go command: what follows the prefix is no lower-case letter.
func isTest(name, prefix string) bool {
	if !strings.HasPrefix(name, prefix) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(name[len(prefix):])
	return len(name) == len(prefix) || !unicode.IsLower(next)
}

// takes tells whether the only parameter is a pointer to the type of the package testing.
func takes(function *ast.FuncDecl, kind string) bool {
	parameters := function.Type.Params.List
	if function.Type.Results != nil || len(parameters) != 1 || len(parameters[0].Names) > 1 {
		return false
	}
	pointer, ok := parameters[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	if selector, ok := pointer.X.(*ast.SelectorExpr); ok {
		return selector.Sel.Name == kind
	}
	name, ok := pointer.X.(*ast.Ident)
	return ok && name.Name == kind
}

func (tests *testMain) source() []byte {
	var text bytes.Buffer
	write := func(format string, values ...any) { fmt.Fprintf(&text, format, values...) }
	write("package main\n\nimport (\n\t\"os\"\n\t\"reflect\"\n\t\"strconv\"\n\t\"testing\"\n")
	write("\t\"testing/internal/testdeps\"\n%s)\n\n", strings.Join(tests.imports, ""))
	write("var tests = []testing.InternalTest{\n%s}\n\n", strings.Join(tests.tests, ""))
	write("var benchmarks = []testing.InternalBenchmark{\n%s}\n\n", strings.Join(tests.benchmarks, ""))
	write("var fuzzTests = []testing.InternalFuzzTarget{\n%s}\n\n", strings.Join(tests.fuzzTests, ""))
	write("var examples = []testing.InternalExample{\n%s}\n\n", strings.Join(tests.examples, ""))
	write("func init() { testdeps.ImportPath = %s }\n", strconv.Quote(tests.ImportPath))
	write("const directory = %q\n%s", tests.directory, mainSource)
	if tests.main != "" {
		write("\t%s(m)\n", tests.main)
		write("\tos.Exit(int(reflect.ValueOf(m).Elem().FieldByName(\"exitCode\").Int()))\n}\n")
	} else {
		write("\t_ = reflect.ValueOf\n\tos.Exit(m.Run())\n}\n")
	}
	return text.Bytes()
}

// The variables are those of Bazel's test protocol. As under the go command, tests stand in their own directory.
const mainSource = `
func main() {
	if root := os.Getenv("TEST_SRCDIR"); root != "" {
		os.Chdir(root + "/" + directory)
	}
	if filter := os.Getenv("TESTBRIDGE_TEST_ONLY"); filter != "" {
		os.Args = append([]string{os.Args[0], "-test.run=" + filter}, os.Args[1:]...)
	}
	total, _ := strconv.Atoi(os.Getenv("TEST_TOTAL_SHARDS"))
	index, _ := strconv.Atoi(os.Getenv("TEST_SHARD_INDEX"))
	if total > 1 {
		if status := os.Getenv("TEST_SHARD_STATUS_FILE"); status != "" {
			os.WriteFile(status, nil, 0o644)
		}
		mine := tests[:0:0]
		for i, test := range tests {
			if i%total == index {
				mine = append(mine, test)
			}
		}
		tests = mine
		if index != 0 {
			examples, fuzzTests = nil, nil
		}
	}
	m := testing.MainStart(testdeps.TestDeps{}, tests, benchmarks, fuzzTests, examples)
`

func temporary() string {
	made, err := os.MkdirTemp("", "bldr")
	check(err)
	return made
}

func run(name string, arguments ...string) {
	command := exec.Command(name, arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		if _, ok := err.(*exec.ExitError); ok {
			os.Exit(1)
		}
		check(err)
	}
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
"""
