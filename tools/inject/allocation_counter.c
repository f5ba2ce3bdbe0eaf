/* Counts the calls of CPython's allocators: each is wrapped by one that counts and passes on.

   The structure is PyMemAllocatorEx of the stable part of CPython's documentation (since 3.5), so that no header of any
   Python is needed and one library serves all versions. Freed and used again inside CPython's free lists does not count:
   nothing was allocated. */

#include <stddef.h>

typedef struct {
    void *context;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
} Allocator;

typedef void (*Access)(int, Allocator *);

enum { DOMAINS = 3 };

static Allocator wrapped[DOMAINS];
static unsigned long long calls;

static void note(void) { __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED); }

static void *count_malloc(void *context, size_t size)
{
    Allocator *inner = context;
    note();
    return inner->malloc(inner->context, size);
}

static void *count_calloc(void *context, size_t count, size_t size)
{
    Allocator *inner = context;
    note();
    return inner->calloc(inner->context, count, size);
}

static void *count_realloc(void *context, void *block, size_t size)
{
    Allocator *inner = context;
    note();
    return inner->realloc(inner->context, block, size);
}

static void pass_free(void *context, void *block)
{
    Allocator *inner = context;
    inner->free(inner->context, block);
}

void perfcrew_count(Access get, Access set)
{
    for (int domain = 0; domain < DOMAINS; domain++) {
        Allocator counting = {&wrapped[domain], count_malloc, count_calloc, count_realloc, pass_free};
        get(domain, &wrapped[domain]);
        set(domain, &counting);
    }
}

unsigned long long perfcrew_calls(void) { return __atomic_load_n(&calls, __ATOMIC_RELAXED); }
