package org.example.app;

import org.example.words.Words;

public final class Main {
    public static void main(String[] arguments) {
        System.out.println(Words.count(String.join(" ", arguments)));
    }
}
