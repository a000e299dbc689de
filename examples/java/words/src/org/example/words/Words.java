package org.example.words;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/** Counts words, without those that say little. */
public final class Words {
    private static final Set<String> LITTLE = read("little.txt");

    private Words() {}

    public static long count(String text) {
        return Arrays.stream(text.toLowerCase().split("[^a-z]+"))
            .filter(word -> !word.isEmpty() && !LITTLE.contains(word))
            .count();
    }

    private static Set<String> read(String name) {
        try (InputStream in = Words.class.getResourceAsStream(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().collect(Collectors.toSet());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
