#include <stdio.h>
#include <stdlib.h>

#include "c/mean.h"
#include "names/names.h"

double median(const double *numbers, size_t count);

int main(int argc, char **argv)
{
    size_t count = argc - 1;
    double *numbers = calloc(count + 1, sizeof *numbers);
    if (!numbers)
        return 1;
    for (size_t i = 0; i < count; i++)
        numbers[i] = atof(argv[i + 1]);
    printf("%s %g %s %g\n", MEAN, mean(numbers, count), MEDIAN, median(numbers, count));
    free(numbers);
    return 0;
}
