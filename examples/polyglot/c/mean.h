#ifndef MEAN_H
#define MEAN_H

#include <stddef.h>

double mean(const double *numbers, size_t count);

#endif
