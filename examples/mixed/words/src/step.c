#include "step.h"

#include <ctype.h>

void step(struct step *state, int character, struct words_count *count) {
    count->characters++;
    if (character == '\n') count->lines++;
    if (isspace(character)) {
        state->inside_word = 0;
    } else if (!state->inside_word) {
        state->inside_word = 1;
        count->words++;
    }
}
