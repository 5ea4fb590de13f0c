//===- BadKernels.c - Shared objects that must be refused ------------------------------------------===//
//
// One for each macro that the build defines: each does one thing that kernel code may not do.
//
//===----------------------------------------------------------------------------------------------===//

#ifdef UNDEFINED
extern void missing(void);
void kernel(void) { missing(); }
#endif

#ifdef CONSTRUCTOR
int counter;
__attribute__((constructor)) static void begin(void) { *(volatile int *)&counter = 1; }
#endif

#ifdef NEEDED
void kernel(void) {}
#endif

#ifdef THREAD
__thread int counter;
int *kernel(void) { return &counter; }
#endif

#ifdef IFUNC
static void implementation(void) {}
static void *resolve(void) { return (void *)implementation; }
void kernel(void) __attribute__((ifunc("resolve")));
#endif
