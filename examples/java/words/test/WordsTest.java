package org.example.words;

public final class WordsTest {
    public static void main(String[] arguments) {
        assert Words.count("The sound of rain, and the rain") == 3;
        assert Words.count("") == 0;
    }
}
