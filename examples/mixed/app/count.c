/* Prints how many lines, words and characters each file has. */
#include <stdio.h>
#include <string.h>

#include "version/version.h"
#include "words/words.h"

int main(int argc, char **argv) {
    int failed = 0;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("count " WORDS_VERSION);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        struct words_count count;
        FILE *file = fopen(argv[i], "r");
        if (file == NULL || words_count_file(file, &count) != 0) {
            perror(argv[i]);
            failed = 1;
        } else {
            printf("%lu %lu %lu %s\n", count.lines, count.words, count.characters, argv[i]);
        }
        if (file != NULL) fclose(file);
    }
    return failed;
}
