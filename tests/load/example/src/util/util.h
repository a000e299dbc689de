#ifndef UTIL_H
#define UTIL_H
int util_length(const char *text);
#endif
