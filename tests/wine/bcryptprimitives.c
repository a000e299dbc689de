/* bcryptprimitives.dll, which Wine has from version 9 on: programs in Rust ask it for random bytes. */
#include <windows.h>

/* RtlGenRandom has this name only. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
    return SystemFunction036(data, (ULONG)length);
}
