#include <vector>

extern "C" {
#include "c/mean.h"
double median(const double *numbers, size_t count);

static std::vector<double> given;

void Java_Stats_give(void *, void *, double number) { given.push_back(number); }
double Java_Stats_mean(void *, void *) { return mean(given.data(), given.size()); }
double Java_Stats_median(void *, void *) { return median(given.data(), given.size()); }
}
