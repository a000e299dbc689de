/* One character at a time. */
#ifndef STEP_H
#define STEP_H

#include "words/words.h"

struct step {
    int inside_word;
};

void step(struct step *state, int character, struct words_count *count);

#endif
