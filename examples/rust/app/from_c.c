#include <stdio.h>

unsigned long count_words(const char *text);

int main(void)
{
    printf("%lu\n", count_words("words of Rust"));
    return 0;
}
