public final class Stats {
    static {
        System.loadLibrary("native");
    }

    static native void give(double number);

    static native double mean();

    static native double median();

    public static void main(String[] arguments) {
        for (String word : arguments) {
            give(Double.parseDouble(word));
        }
        System.out.println(Names.MEAN + " " + shown(mean()) + " " + Names.MEDIAN + " " + shown(median()));
    }

    private static String shown(double number) {
        return number == Math.rint(number) ? Long.toString((long) number) : Double.toString(number);
    }
}
