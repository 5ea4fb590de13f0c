/*===- Runtime.h - The C interface of the runtime ------------------------------------------------===*\
|*
|* Runs compiled models (model.ingot) from any language. Plain C99; needs no compiler, no LLVM.
|*
|*   IngotModel *model;
|*   IngotError *error = ingotModelOpen("model.ingot", NULL, &model);
|*   if (error) { puts(ingotErrorMessage(error)); ingotErrorFree(error); return 1; }
|*
|* Rules. A function that can fail returns an error, NULL for success; the caller frees it. What a
|* function hands out through a pointer to a handle is closed or freed by the function of that name,
|* NULL is allowed there, and handles may be closed in any order. Text goes in as bytes and length,
|* comes out as UTF-8 and zero-terminated. Option structs begin with their size and are made by
|* their INIT macro, so that programs built against an older header keep working. Artifacts and
|* models may be shared by threads, a session and its conversations belong to one thread at a time.
|*
\*===--------------------------------------------------------------------------------------------===*/

#ifndef INGOT_C_RUNTIME_H
#define INGOT_C_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Raised when something is added; what exists stays. A library whose number is at least the
 * header's will do. */
#define INGOT_RUNTIME_API_VERSION 2
uint32_t ingotRuntimeApiVersion(void);

/*===--- Errors, text, tokens ---===*/

typedef struct IngotError IngotError;
/** One sentence; lives as long as the error. */
const char *ingotErrorMessage(const IngotError *error);
void ingotErrorFree(IngotError *error);

/** Text that the library made: data[length] is 0. */
typedef struct {
  char *data;
  size_t length;
} IngotString;
void ingotStringFree(IngotString string);

typedef struct {
  int32_t *data;
  size_t count;
} IngotTokens;
void ingotTokensFree(IngotTokens tokens);

/*===--- Artifacts: what is in a file, without running it ---===*/

typedef struct IngotArtifact IngotArtifact;

/** Maps the file and checks all of it but the weights' checksums. */
IngotError *ingotArtifactOpen(const char *path, IngotArtifact **artifact);
void ingotArtifactClose(IngotArtifact *artifact);
/** Reads all weights and compares their checksums. */
IngotError *ingotArtifactVerify(const IngotArtifact *artifact);
/** The model card, JSON as the compiler wrote it; lives as long as the artifact. */
const char *ingotArtifactCard(const IngotArtifact *artifact);
/** JSON: version, sections, limits, memory; with `plan` also buffers, weights, kernels, commands
 * and entries. */
IngotError *ingotArtifactDescribe(const IngotArtifact *artifact, bool plan, IngotString *json);

typedef struct {
  const char *kind;   /**< "Plan", "Kernels", ...; "unknown" for sections of newer writers */
  const char *target; /**< of code, as "cpu:x86-64-v3"; else empty */
  uint64_t offset, bytes, checksum;
  const void *data;
} IngotSection;
size_t ingotArtifactSectionCount(const IngotArtifact *artifact);
/** Pointers live as long as the artifact; `index` is below the count. */
IngotSection ingotArtifactSection(const IngotArtifact *artifact, size_t index);

bool ingotArtifactHasTokenizer(const IngotArtifact *artifact);
/** `addSpecial`: the tokens that the model wants at begin and end; `parseSpecial`: control tokens
 * written in the text. */
IngotError *ingotTokenize(const IngotArtifact *artifact, const char *text, size_t length,
                          bool addSpecial, bool parseSpecial, IngotTokens *tokens);
IngotError *ingotDetokenize(const IngotArtifact *artifact, const int32_t *tokens, size_t count,
                            bool showSpecial, IngotString *text);

/** A turn of a conversation: role "system", "user" or "assistant"; both zero-terminated. */
typedef struct {
  const char *role, *content;
} IngotMessage;
bool ingotArtifactHasChatTemplate(const IngotArtifact *artifact);
/** The text that the model expects for a conversation, by the template that came with it. With
   `addGenerationPrompt` it ends where the answer begins. It spells out special tokens: tokenise it
   without `addSpecial`, with `parseSpecial`. */
IngotError *ingotApplyChatTemplate(const IngotArtifact *artifact, const IngotMessage *messages,
                                   size_t count, bool addGenerationPrompt, IngotString *text);

/*===--- Models: an artifact on a device ---===*/

typedef struct IngotModel IngotModel;

/** Where weights are read from: from the file as it is mapped, which processes share, or from a
   copy in memory, which is faster; automatic takes a copy if at most half of the available memory
   goes into it. */
typedef enum {
  INGOT_WEIGHTS_AUTOMATIC = 0,
  INGOT_WEIGHTS_MAPPED = 1,
  INGOT_WEIGHTS_COPIED = 2
} IngotWeights;

typedef struct {
  size_t size;
  uint32_t threads; /**< with the calling one; 0: one for each core that this process may use */
  bool pinThreads;  /**< the others to a CPU each */
  uint32_t weights; /**< IngotWeights; on a CPU */
  /** "cpu", "cuda" or "cuda:N"; NULL: what the first code in the file is for. */
  const char *device;
  /** Where code that a GPU's driver compiled is kept for the next time; NULL: nowhere. */
  const char *cacheDirectory;
  /** A model whose device, threads included, runs this one too, as a model and the one that drafts
     for it should; all of the above but `size` is then that device's. It may be closed first.
     NULL: a device of its own. */
  const IngotModel *deviceOf;
} IngotModelOptions;
#define INGOT_MODEL_OPTIONS_INIT                                                                   \
  {sizeof(IngotModelOptions), 0, true, INGOT_WEIGHTS_AUTOMATIC, NULL, NULL, NULL}

/** `options` may be NULL. */
IngotError *ingotModelOpen(const char *path, const IngotModelOptions *options, IngotModel **model);
void ingotModelClose(IngotModel *model);
/** Lives as long as the model. */
const IngotArtifact *ingotModelArtifact(const IngotModel *model);
/** Of the code that was chosen, as "cpu:x86-64-v3". */
const char *ingotModelTarget(const IngotModel *model);
/** For people: the machine, its threads or multiprocessors. */
const char *ingotModelDevice(const IngotModel *model);
/** On a GPU: multiprocessors. */
uint32_t ingotModelThreads(const IngotModel *model);
/** What the machine can do, whatever the model: bytes read, operations of products (float32 on a
   CPU, bf16 on a GPU) and of 8-bit integer dot products (a multiply-add counts as two; 0 where
   there are none) in a second; the seconds of a launch that computes nothing and in which all
   threads take part; on a CPU those of a pair of cache lines that two threads exchange, 0 where
   there is one thread. */
typedef struct {
  double bytesPerSecond, operationsPerSecond, integerOperationsPerSecond, launchSeconds,
      exchangeSeconds;
} IngotDeviceSpeed;
/** Measures it, which takes about a second. Other work on the machine disturbs it. */
IngotError *ingotModelMeasureDevice(const IngotModel *model, IngotDeviceSpeed *speed);

/** Most of each thing; see ingotSessionStep. */
typedef struct {
  uint64_t stepTokens, stepOutputs, stepSequences, contextTokens;
  uint64_t inputVocabulary; /**< token ids are below this */
  uint64_t outputWidth;     /**< logits of one row */
  uint64_t pageTokens, pageCount;
} IngotLimits;
IngotLimits ingotModelLimits(const IngotModel *model);

/*===--- Sessions: sequences and steps ---===*/

typedef struct IngotSession IngotSession;

typedef struct {
  size_t size;
  bool profile; /**< measures each command; see ingotSessionProfile */
} IngotSessionOptions;
#define INGOT_SESSION_OPTIONS_INIT {sizeof(IngotSessionOptions), false}

/** Takes all memory that the session will use. `options` may be NULL. */
IngotError *ingotSessionCreate(const IngotModel *model, const IngotSessionOptions *options,
                               IngotSession **session);
void ingotSessionDestroy(IngotSession *session);

IngotError *ingotSessionAddSequence(IngotSession *session, uint32_t *sequence);
/** Gives the sequence's cache back. */
IngotError *ingotSessionRemoveSequence(IngotSession *session, uint32_t sequence);
/** Forgets the tokens from `length` on. */
IngotError *ingotSessionTruncateSequence(IngotSession *session, uint32_t sequence, uint64_t length);
IngotError *ingotSessionSequenceLength(const IngotSession *session, uint32_t sequence,
                                       uint64_t *length);
uint64_t ingotSessionFreePages(const IngotSession *session);

/** The next tokens of one sequence; logits are wanted for the last `outputs` of them. */
typedef struct {
  uint32_t sequence;
  const int32_t *tokens;
  size_t count;
  size_t outputs;
} IngotSequenceTokens;

/** Row i is the i-th output asked for, in the order of the sequences. Valid until the session's
 * next step. */
typedef struct {
  const float *data;
  uint64_t rows, width;
} IngotLogits;

/** Runs one step over tokens of several sequences. A step that fails by its arguments changes
 * nothing. */
IngotError *ingotSessionStep(IngotSession *session, const IngotSequenceTokens *parts, size_t count,
                             IngotLogits *logits);

/** Nanoseconds of the last step on the device alone: the mean of so many repetitions, one right
   after the other. What a step takes beyond that is the host's. */
IngotError *ingotSessionTimeStep(IngotSession *session, uint32_t repeats, uint64_t *nanoseconds);

/** Bytes taken. */
typedef struct {
  uint64_t weights, arena, cache, inputs;
} IngotMemory;
IngotMemory ingotSessionMemory(const IngotSession *session);

/** One command of the plan, summed over its loop and over the steps since the last clear. */
typedef struct {
  uint32_t command;
  const char *kernel, *family, *layer; /**< live as long as the session */
  uint64_t launches, nanoseconds;
  uint64_t bytes, operations; /**< by the kernel family's cost formula */
} IngotCommandTime;
size_t ingotSessionProfileCount(const IngotSession *session);
/** `index` is below the count, which is 0 without the option. */
IngotCommandTime ingotSessionProfile(const IngotSession *session, size_t index);
void ingotSessionClearProfile(IngotSession *session);

/*===--- Conversations: from prompt to text ---===*/

typedef struct IngotConversation IngotConversation;

IngotError *ingotConversationCreate(IngotSession *session, IngotConversation **conversation);
void ingotConversationDestroy(IngotConversation *conversation);

/** Meaning and order of the sampling steps: penalties, temperature, top-k, top-p, min-p. */
typedef struct {
  size_t size;
  double temperature; /**< 0: always the most probable token */
  uint64_t topK;      /**< 0: all */
  double topP, minP;
  double repetitionPenalty, frequencyPenalty, presencePenalty;
  uint64_t seed;
  uint64_t maxTokens;       /**< 0: up to the end of the context */
  const char *const *stops; /**< zero-terminated strings that end the answer */
  size_t stopCount;
  bool ignoreEnd;   /**< goes on after end tokens */
  bool showSpecial; /**< control tokens appear in the text */
  /** Guesses the next tokens and verifies several in a step; the answer does not change. From what
   * followed before in the text: */
  bool lookup;
  /** by a smaller model of the same tokenizer (must outlive the conversation): */
  IngotSession *draft;
  uint64_t draftTokens; /**< most tokens that are guessed at once */
} IngotGenerationOptions;
#define INGOT_GENERATION_OPTIONS_INIT                                                              \
  {sizeof(IngotGenerationOptions),                                                                 \
   0,                                                                                              \
   0,                                                                                              \
   1,                                                                                              \
   0,                                                                                              \
   1,                                                                                              \
   0,                                                                                              \
   0,                                                                                              \
   0,                                                                                              \
   0,                                                                                              \
   NULL,                                                                                           \
   0,                                                                                              \
   false,                                                                                          \
   false,                                                                                          \
   false,                                                                                          \
   NULL,                                                                                           \
   16}

typedef enum {
  INGOT_FINISH_END = 0,
  INGOT_FINISH_STOP = 1,
  INGOT_FINISH_LENGTH = 2,
  INGOT_FINISH_CONTEXT = 3,
  INGOT_FINISH_CANCELLED = 4
} IngotFinishReason;

typedef struct {
  IngotFinishReason reason;
  uint64_t promptTokens, reusedTokens, answerTokens;
  uint64_t promptNanoseconds, answerNanoseconds;
  uint64_t steps;                         /**< of the answer */
  uint64_t draftedTokens, acceptedTokens; /**< guessed; of these, part of the answer */
} IngotGenerationReport;

/** For each token the text that it completes (valid UTF-8, perhaps none, not zero-terminated);
   token -1 with the rest. Returns whether to go on. */
typedef bool (*IngotPieceCallback)(void *user, const char *text, size_t length, int32_t token);

/** `prompt` is the whole text so far; what the cache still holds of it is not computed again.
   `options`, `callback` and `report` may be NULL. */
IngotError *ingotConversationGenerate(IngotConversation *conversation, const int32_t *prompt,
                                      size_t count, const IngotGenerationOptions *options,
                                      IngotPieceCallback callback, void *user,
                                      IngotGenerationReport *report);
/** Ends the generation in progress, or the next one. Allowed in other threads and in signal
 * handlers. */
void ingotConversationCancel(IngotConversation *conversation);

#ifdef __cplusplus
}
#endif

#endif /* INGOT_C_RUNTIME_H */
