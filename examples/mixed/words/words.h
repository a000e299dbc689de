/* Counts lines, words and characters of a text. */
#ifndef WORDS_H
#define WORDS_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct words_count {
    unsigned long lines, words, characters;
};

/* Returns 0, or -1 when the file cannot be read. */
int words_count_file(FILE *file, struct words_count *count);
void words_count_text(const char *text, struct words_count *count);

#ifdef __cplusplus
}
#endif

#endif
