#include <stdlib.h>

/* __DATE__ is "Mmm dd yyyy", and the same in every build. */
int year_of_build(void)
{
    return atoi(__DATE__ + 7);
}
