/* Tests run in the tree's root: a data file stands at the path that it has in the workspace. */
#include <stdio.h>

#include "words.h"

static int failures;

static void expect(const char *what, unsigned long found, unsigned long wanted) {
    if (found == wanted) return;
    fprintf(stderr, "%s: found %lu, wanted %lu\n", what, found, wanted);
    failures++;
}

static void expect_file(const char *path, unsigned long lines, unsigned long words, unsigned long characters) {
    struct words_count count;
    FILE *file = fopen(path, "r");
    if (file == NULL || words_count_file(file, &count) != 0) {
        perror(path);
        failures++;
        return;
    }
    fclose(file);
    expect("lines", count.lines, lines);
    expect("words", count.words, words);
    expect("characters", count.characters, characters);
}

int main(void) {
    struct words_count count;
    words_count_text("one  two\nthree", &count);
    expect("lines of a text", count.lines, 1);
    expect("words of a text", count.words, 3);
    expect_file("words/testdata/rain.txt", 3, 14, 72);
    expect_file("words/testdata/empty.txt", 0, 0, 0);
    return failures != 0;
}
