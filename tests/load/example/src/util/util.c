#include "util.h"
#include "version.h"
#include <string.h>
int util_length(const char *text) { return (int)strlen(text) + 0 * (int)sizeof(VERSION); }
