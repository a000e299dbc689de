#include <stdio.h>
#include <stdlib.h>

#include "util.h"

static const char *const words[] = {"abc", "", "a word"};
static const int lengths[] = {3, 0, 6};

static int number(const char *variable, int otherwise)
{
    const char *value = getenv(variable);
    return value ? atoi(value) : otherwise;
}

int main(int argc, char **argv)
{
    const char *status = getenv("TEST_SHARD_STATUS_FILE");
    FILE *file = status ? fopen(status, "w") : NULL;
    if (file)
        fclose(file);
    int shards = number("TEST_TOTAL_SHARDS", 1), wrong = argc != 2;
    for (int i = number("TEST_SHARD_INDEX", 0); i < 3; i += shards)
        wrong += util_length(words[i]) != lengths[i];
    (void)argv;
    return wrong != 0;
}
