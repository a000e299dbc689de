/* Makes a C header of a file's first line: stamp NAME FILE > HEADER */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    char line[256];
    if (argc != 3) {
        fprintf(stderr, "usage: %s NAME FILE\n", argv[0]);
        return 2;
    }
    FILE *file = fopen(argv[2], "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        fprintf(stderr, "%s: no line to read\n", argv[2]);
        return 1;
    }
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    printf("#ifndef %s\n#define %s \"%s\"\n#endif\n", argv[1], argv[1], line);
    return 0;
}
