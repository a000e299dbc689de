#include "step.h"
#include "words.h"

int words_count_file(FILE *file, struct words_count *count) {
    struct step state = {0};
    *count = (struct words_count){0, 0, 0};
    for (int character; (character = getc(file)) != EOF;) step(&state, character, count);
    return ferror(file) ? -1 : 0;
}

void words_count_text(const char *text, struct words_count *count) {
    struct step state = {0};
    *count = (struct words_count){0, 0, 0};
    for (; *text != '\0'; text++) step(&state, (unsigned char)*text, count);
}
