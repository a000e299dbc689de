#include "util.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
    char path[4096];
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        mkdir(argv[2], 0755);
        snprintf(path, sizeof path, "%s/greeting.txt", argv[2]);
        FILE *file = fopen(path, "w");
        if (!file) return 1;
        fprintf(file, "hello %d\n", util_length("world"));
        return fclose(file);
    }
    return 0;
}
