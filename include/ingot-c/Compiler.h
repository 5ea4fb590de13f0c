/*===- Compiler.h - The C interface of the compiler ----------------------------------------------===*\
|*
|* Casts a checkpoint into model.ingot from any language. Plain C99. The library is
|* libIngotCompiler.so; programs that only run models do not need it, and those that sometimes
|* compile may load it when they have to (as `ingot` does).
|*
|*   IngotCompilerOptions options = INGOT_COMPILER_OPTIONS_INIT;
|*   options.source = "model.gguf"; options.output = "model.ingot";
|*   char *error = ingotCompilerCompile(&options);
|*   if (error) { puts(error); ingotCompilerFree(error); return 1; }
|*
\*===--------------------------------------------------------------------------------------------===*/

#ifndef INGOT_C_COMPILER_H
#define INGOT_C_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Raised when something is added; what exists stays. */
#define INGOT_COMPILER_API_VERSION 3
uint32_t ingotCompilerApiVersion(void);

/** `fraction` is of the whole compilation, from 0 to 1; `stage` as in --stop-after. */
typedef void (*IngotCompilerProgress)(void *user, const char *stage, double fraction);
/** A decision of the compiler, one line of text: "passed fuse blk.0 ...". `kind` is passed, missed
 * or analysis; or warning, which a program should show its user. */
typedef void (*IngotCompilerRemark)(void *user, const char *kind, const char *stage,
                                    const char *text);

typedef struct {
  size_t size;
  const char *source; /**< a .gguf file, a Hugging Face folder, or with `weights` a config.json */
  const char *output; /**< written under a temporary name and renamed; NULL or "-": standard output,
                         with `stopAfter` */
  const char *const *targets; /**< "cpu:x86-64-v3", "cuda:sm_90a", ...; none: the first */
  size_t targetCount;
  uint64_t maxContext;     /**< tokens of one sequence; 0: the model's, at most 8192 */
  uint64_t maxBatch;       /**< sequences of one step; 0: 1 */
  uint64_t maxStepTokens;  /**< tokens of one step; 0: 256; longer prompts come in chunks */
  const char *kvFormat;    /**< "f16", "f32", "q8_0", "k8v4", "q4_0"; NULL: f16 */
  const char *activations; /**< "auto", "int8" or "float"; NULL: auto */
  const char *stopAfter;   /**< a stage: its IR (assembly for target) is the output; NULL: all */
  uint32_t threads;        /**< 0: one for each core that this process may use */
  IngotCompilerProgress progress; /**< may be NULL */
  IngotCompilerRemark remark;     /**< may be NULL */
  void *user;                     /**< handed to the callbacks, which run in the calling thread */
  const char
      *weights; /**< "random:SEED": made up, to measure an architecture; NULL: the source's */
  const char *weightFormat; /**< of products' weights that are floats; NULL: as they are stored */
  const char *adapter;  /**< a folder with a low-rank adapter (PEFT) for a folder's weights; NULL */
  const char *tuning;   /**< a file that `ingotCompilerTune` made; NULL: of no machine */
  const char *schedule; /**< of all products, one of the candidates; NULL: chosen for each */
  bool embedTuning;     /**< the whole tuning goes into the card */
} IngotCompilerOptions;

#define INGOT_COMPILER_OPTIONS_INIT                                                                \
  {sizeof(IngotCompilerOptions),                                                                   \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   0,                                                                                              \
   0,                                                                                              \
   0,                                                                                              \
   0,                                                                                              \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   0,                                                                                              \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   NULL,                                                                                           \
   false}

/** NULL, or one sentence that says what is wrong; free it with `ingotCompilerFree`. Nothing is left
 * half-written. */
char *ingotCompilerCompile(const IngotCompilerOptions *options);
void ingotCompilerFree(char *text);
/** The functions of CPU code (of a Kernels section whose target is "cpu:...") as assembly: NULL and
 * `text`, or the sentence that says what is wrong; free either with `ingotCompilerFree`. */
char *ingotCompilerDisassemble(const void *code, size_t bytes, char **text);
/** The names of the stages, in order; the last is followed by NULL. */
const char *const *ingotCompilerStages(void);

/** Ways to cut products into work that are worth a measurement, as `schedule` takes them; the last
 * is followed by NULL. */
const char *const *ingotCompilerSchedules(void);
/** From measured launches to the constants of the machine and the best schedules, and what they
 * predict; both JSON, of the shapes in lib/Compiler/Tuning.h. NULL and `result`, or the sentence
 * that says what is wrong; free either with `ingotCompilerFree`. */
char *ingotCompilerTune(const char *measurements, char **result);

#ifdef __cplusplus
}
#endif

#endif /* INGOT_C_COMPILER_H */
