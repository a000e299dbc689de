#include "util.h"
int main(int argc, char **argv) { return !(argc == 2 && util_length("abc") == 3); }
