//===- Format.h - The layout of model.ingot, byte by byte -------------------------------------------===//
//
// The only header that compiler and runtime share. Everything in an artefact is little-endian and
// is described by the plain structs below; the writer fills them, the reader checks each offset and
// count before it follows it. Plain C++20, no dependency: what is here is the contract between two
// programs that may be years apart. A change that an old reader cannot ignore raises
// `majorVersion`.
//
//   FileHeader · SectionEntry[sectionCount] · sections, each aligned to its kind's alignment
//
// Strings live in the Names section and are referred to by `Name`. Checksums are XXH3 (64 bits,
// seed 0).
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_ARTIFACT_FORMAT_H
#define INGOT_ARTIFACT_FORMAT_H

#include <cstdint>

namespace ingot::format {

inline constexpr char magic[8] = {'I', 'N', 'G', 'O', 'T', '\r', '\n', '\x1a'};
inline constexpr uint32_t majorVersion = 1;
inline constexpr uint32_t minorVersion = 2;
/// From this minor version on there is a KernelReaches section.
inline constexpr uint32_t reachesMinorVersion = 2;
/// Sections start at multiples of this, weights at multiples of `weightAlignment` within theirs.
inline constexpr uint64_t sectionAlignment = 4096;
inline constexpr uint64_t weightAlignment = 64;
/// Weights carry one checksum for each piece of this many bytes (the last may be shorter).
inline constexpr uint64_t checksumPiece = 1 << 20;

enum class SectionKind : uint32_t {
  Names = 1,            ///< bytes of all strings, not terminated
  Plan = 2,             ///< PlanHeader and its tables
  Kernels = 3,          ///< one target's code; `SectionEntry::target` names it ("cpu:x86-64-v3")
                        ///< and decides what it is: an ELF shared object for CPUs, a
                        ///< CudaCodeHeader and its tables for NVIDIA GPUs ("cuda:sm_90a")
  Weights = 4,          ///< packed weights in the order of use
  WeightChecksums = 5,  ///< uint64_t[ceil(weights.bytes / checksumPiece)]
  Tokenizer = 6,        ///< TokenizerHeader and its tables
  ChatTemplate = 7,     ///< Jinja text, UTF-8
  Card = 8,             ///< JSON: hyper-parameters, source, recipe, remarks, memory plan
  KernelReaches = 9,    ///< ReachRecord: of each argument of each kernel, in the order of kernels
  RepeatedWeights = 10, ///< RepeatHeader and its table, where Weights holds equal bytes once
};

/// A string: `length` bytes at `offset` of the Names section.
struct Name {
  uint32_t offset;
  uint32_t length;
};

/// `count` records at `offset` (bytes from the start of the section that holds the table).
struct Table {
  uint64_t offset;
  uint64_t count;
};

struct FileHeader {
  char magic[8];
  uint32_t majorVersion;
  uint32_t minorVersion;
  uint64_t fileBytes;
  uint32_t sectionCount;
  uint32_t reserved;
  uint64_t tableChecksum; ///< of the header up to here and the SectionEntry table
};

struct SectionEntry {
  uint32_t kind; ///< SectionKind; a reader skips kinds that it does not know
  uint32_t reserved;
  Name target; ///< Kernels only: "cpu:LEVEL" or "cpu:LEVEL+FEATURE...", as
               ///< "cpu:x86-64-v3+avxvnni", or "cuda:CHIP"
  uint64_t offset;
  uint64_t bytes;
  uint64_t checksum; ///< of the section; 0 for Weights, which have WeightChecksums
};

//===----------------------------------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------------------------------===//

/// The numbers that vary from step to step. Kernels read them by this index, grids are functions of
/// them.
enum class Count : uint32_t { Tokens = 0, Outputs = 1, Sequences = 2 };
inline constexpr uint32_t countCount = 3;
inline constexpr uint32_t noCount = 0xffffffff;
/// Only as KernelRecord::costCount: bytesPerRow is for each token of the contexts of the step's
/// sequences, operationsPerRow for each pair of a token of the step and one of its context.
inline constexpr uint32_t contextCount = 3;

/// The arrays of a step descriptor.
enum class Input : uint32_t {
  TokenIds = 0,   ///< int32_t[tokens]
  Positions = 1,  ///< int32_t[tokens]: position of each token in its sequence
  SequenceOf = 2, ///< int32_t[tokens]: row of the page table that the token's sequence uses
  OutputRows = 3, ///< int32_t[outputs]: index of the tokens whose output is wanted
  PageTable = 4,  ///< int32_t[maxSequences, pagesPerSequence]: physical page of each logical page
};
inline constexpr uint32_t inputCount = 5;

/// Where an argument of a launch points; see ArgumentRecord.
enum class Space : uint32_t {
  Arena = 0,   ///< activations of the step; bytes: PlanHeader::arenaBytes
  Weights = 1, ///< the Weights section
  Cache = 2,   ///< the KV cache; bytes: PlanHeader::cacheBytes
  Input = 3,   ///< `offset` is an `Input`
};

/// Stands at the start of the Plan section; its tables are in the same section, at multiples of 8.
struct PlanHeader {
  uint64_t maxTokens;    ///< most tokens of one step; longer prompts come in chunks
  uint64_t maxOutputs;   ///< most rows of output of one step
  uint64_t maxSequences; ///< most sequences of one step
  uint64_t maxContext;   ///< most tokens of one sequence
  uint64_t pageTokens;   ///< tokens of one page of the cache
  uint64_t pageCount;    ///< physical pages of the cache; 0 for a program without a cache
  uint64_t pagesPerSequence;
  uint64_t arenaBytes;
  uint64_t cacheBytes;
  uint64_t outputOffset;    ///< of the result, float32 [outputs, outputWidth], in the arena
  uint64_t outputWidth;     ///< the vocabulary's size
  uint64_t inputVocabulary; ///< token ids of a step are below this
  Table buffers;            ///< BufferRecord
  Table weights;            ///< WeightRecord
  Table kernels;            ///< KernelRecord
  Table arguments;          ///< ArgumentRecord
  Table commands;           ///< CommandRecord
  Table entries;            ///< EntryRecord, by tokens: 1..a, a+1..b, ..., up to maxTokens
};

struct BufferRecord {
  Name name;
  uint64_t offset, bytes;             ///< in the arena
  uint32_t firstCommand, lastCommand; ///< lifetime
};

struct WeightRecord {
  Name name, format, packing;
  uint64_t offset, bytes; ///< in the Weights section
  uint64_t rows, columns;
};

/// Bits of KernelRecord::flags. A reader refuses bits that it does not know.
enum KernelFlags : uint16_t {
  /// Every block executes griddepcontrol.wait before it touches anything but weights and before it
  /// exits, so that the kernel may start before its predecessor in the stream is complete
  /// (programmatic dependent launch).
  DependentLaunch = 1 << 0,
};

/// A kernel is a function of the target's code. On a CPU it is called once for each block of the
/// launch's grid:
///   void kernel(void *const *arguments, const int64_t *counts, int64_t x, int64_t y, int64_t z);
/// `counts` is indexed by `Count`. On a GPU it is an entry whose parameters are the arguments, one
/// device address each, and then the address of `int64_t counts[countCount]` in device memory. The
/// grid may be that of larger counts: a block beyond the extents of `counts` does nothing. All
/// addresses are multiples of 16. Costs are those of the kernel family's cost function.
struct KernelRecord {
  Name symbol;
  Name family;
  uint32_t argumentCount;
  uint16_t threads;          ///< of a block on a GPU; 0: code for a CPU (since minor version 1)
  uint16_t flags;            ///< KernelFlags (since minor version 1)
  uint64_t weightBytes;      ///< read once a launch
  uint64_t bytesPerRow;      ///< activations read and written for each value of `costCount`
  uint64_t operationsPerRow; ///< multiply-adds count as two
  uint32_t costCount;        ///< a `Count`, `contextCount`, or `noCount`: one row
  uint32_t sharedBytes;      ///< dynamic shared memory of a block on a GPU (since minor version 1)
};

/// An address: base of `space` + offset + i * loopStride, i the iteration of the enclosing loop (0
/// outside).
struct ArgumentRecord {
  uint32_t space; ///< Space
  uint32_t reserved;
  uint64_t offset;
  uint64_t loopStride;
};

/// How far a kernel goes from an argument: it touches no byte past value * multiplier + addend
/// bytes from the argument's address, value = counts[count], 0 for noCount; negative: none.
struct ReachRecord {
  uint32_t count;
  uint32_t reserved;
  uint64_t multiplier;
  int64_t addend;
};

/// One extent of a grid: ceil((value * multiplier + addend) / divisor), value = counts[count], 1
/// for noCount; 0, and no launch, where the sum is negative.
struct GridExtent {
  uint32_t count;
  uint32_t reserved;
  int64_t multiplier, addend;
  uint64_t divisor;
};

enum class CommandKind : uint32_t {
  Launch = 0,    ///< runs all blocks of the grid, after all earlier commands are complete
  LoopBegin = 1, ///< the commands up to LoopEnd run `iterations` times; loops do not nest
  LoopEnd = 2,
};

struct CommandRecord {
  uint32_t kind; ///< CommandKind
  uint32_t kernel;
  uint32_t firstArgument, argumentCount;
  GridExtent grid[3];
  uint64_t iterations;
  Name layer; ///< where it comes from, for reports
};

/// A variant of the step program, chosen by the number of tokens.
struct EntryRecord {
  Name name;
  uint32_t firstCommand, commandCount;
  uint64_t minTokens, maxTokens;
};

static_assert(sizeof(FileHeader) == 40 && sizeof(SectionEntry) == 40 && sizeof(PlanHeader) == 192);
static_assert(sizeof(BufferRecord) == 32 && sizeof(WeightRecord) == 56 &&
              sizeof(KernelRecord) == 56);
static_assert(sizeof(ReachRecord) == 24);
static_assert(sizeof(ArgumentRecord) == 24 && sizeof(CommandRecord) == 128 &&
              sizeof(EntryRecord) == 32);

//===----------------------------------------------------------------------------------------------===//
// Repeated weights
//===----------------------------------------------------------------------------------------------===//

/// Random weights, made up to measure an architecture, repeat. With this section the plan's weights
/// are `bytes` bytes, zero but for the runs: byte i of a run is byte source + i % period of the
/// section Weights.
struct RepeatHeader {
  uint64_t bytes;
  Table runs; ///< RepeatRun, ascending, not overlapping
};

struct RepeatRun {
  uint64_t offset, bytes;  ///< in the plan's weights
  uint64_t source, period; ///< in the section Weights
};

static_assert(sizeof(RepeatHeader) == 24 && sizeof(RepeatRun) == 32);

//===----------------------------------------------------------------------------------------------===//
// Code for NVIDIA GPUs
//===----------------------------------------------------------------------------------------------===//

/// Stands at the start of a Kernels section for "cuda:CHIP". Tables are from the start of the
/// section. PTX runs on every chip of at least `capability` (an exact chip's on that capability
/// alone), cubin on chips of the same major and at least the same minor capability (exact: the
/// same).
struct CudaCodeHeader {
  Table ptx;           ///< char: text with one terminating NUL, which counts
  Table cubin;         ///< uint8_t: ELF, offset a multiple of 16; none where the count is 0
  uint32_t ptxVersion; ///< of the instruction set, times 10: 83 needs a driver of CUDA 12.3
  uint32_t capability; ///< of the chip, times 10: 80 for sm_80, 90 for sm_90a
  uint32_t isExact;    ///< 1 for chips like sm_90a
  uint32_t reserved;
};

static_assert(sizeof(CudaCodeHeader) == 48);

//===----------------------------------------------------------------------------------------------===//
// Tokenizer
//===----------------------------------------------------------------------------------------------===//

/// How text is cut into words before merging; the regular expressions are
/// runtime/core/PreTokenizer.cpp's.
enum class PreTokenizer : uint32_t { Gpt2 = 0, Llama3 = 1, Qwen2 = 2, SmolLM = 3 };

/// The numbers are GGUF's.
enum class TokenType : uint8_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,     ///< found in text only where special tokens are parsed; not shown by default
  UserDefined = 4, ///< always found in text, shown
  Unused = 5,
  Byte = 6,
};

/// Bits of TokenizerHeader::flags. A reader refuses bits that it does not know.
enum TokenizerFlags : uint32_t {
  AddBos = 1 << 0,       ///< encoding begins with bosId
  AddEos = 1 << 1,       ///< encoding ends with eosId
  IgnoreMerges = 1 << 2, ///< a word that is a token is that token, whatever the merges say
  NormalizeNfc = 1 << 3, ///< text is brought to Unicode's form C first
  Extended = 1 << 4,     ///< a TokenizerExtension follows the header; `preTokenizer` is not used
};

/// How words become tokens.
enum class TokenizerModel : uint32_t {
  ByteBpe = 0,   ///< merges from the bytes of a word up
  CharBpe = 1,   ///< merges from its characters up
  WordPiece = 2, ///< the longest token that a word begins with, then of the rest
  Unigram = 3,   ///< the tokens with the largest sum of scores
};

/// What a token that is found in text before it is cut into words does around itself.
enum AddedTokenFlags : uint8_t {
  StripLeft = 1 << 0,  ///< takes the white space before it along
  StripRight = 1 << 1, ///< and after it
  SingleWord = 1 << 2, ///< counts only where no letter, digit or underscore touches it
  Normalized = 1 << 3, ///< is looked for after normalisation, itself normalised
};

enum TokenizerExtensionFlags : uint32_t {
  ByteFallback = 1 << 0,    ///< characters without a token become the tokens <0x00> to <0xFF>
  FuseUnknown = 1 << 1,     ///< unknown characters side by side become one unknown token
  StripFirstSpace = 1 << 2, ///< decoded text loses one space at its start
  StripFirstToken = 1 << 3, ///< the first token that is decoded loses all of its spaces
};

/// What is done to text before the model sees it: `normalizers` first steps on a whole piece, the
/// others on each of the pieces into which it is cut.
enum class TextStepKind : uint32_t {
  Normalize = 0, ///< `number` is a TextNormalForm
  Lowercase = 1,
  StripAccents = 2, ///< marks are left out; `number` is 0 for those of category Mn, 1 for all
  Strip = 3,        ///< white space at the ends; `number` is 1 left, 2 right, 3 both
  Replace = 4,      ///< every match of `first` by the text `second`
  Prepend = 5,      ///< `first`, to text that is not empty; `number` is a PrependRule
  CleanControl = 6, ///< BERT's cleaning: no control characters, white space as spaces
  PadChinese = 7,   ///< spaces around CJK ideographs, as BERT has them
  Split = 8, ///< cut at matches of `first`; `number` is a SplitRule, plus 16 to cut at the gaps
};
enum class TextNormalForm : uint32_t { C = 0, D = 1, KC = 2, KD = 3 };
enum class PrependRule : uint32_t {
  Always = 0,
  IfMissing = 1,      ///< unless the text begins so
  FirstIfMissing = 2, ///< the same, at the start of the whole text only
};
enum class SplitRule : uint32_t {
  Removed = 0,
  Isolated = 1,
  MergedWithPrevious = 2,
  MergedWithNext = 3,
  Contiguous = 4,
};

/// `first` (a PCRE2 pattern, but for Prepend) and `second` are pieces of `strings`.
struct TextStepRecord {
  uint32_t kind, number;
  uint32_t firstOffset, firstBytes, secondOffset, secondBytes;
};

/// Follows TokenizerHeader where its flags say so.
struct TokenizerExtension {
  uint32_t model;        ///< TokenizerModel
  uint32_t flags;        ///< TokenizerExtensionFlags
  uint32_t normalizers;  ///< how many of the steps are
  uint32_t maxWordChars; ///< WordPiece: longer words are unknown
  uint32_t prefixOffset; ///< WordPiece: what tokens inside a word begin with, in `strings`
  uint32_t prefixBytes;
  Table strings;    ///< char
  Table steps;      ///< TextStepRecord
  Table texts;      ///< char: what tokens decode to, one after another; empty: their bytes
  Table textEnds;   ///< uint32_t: where token i ends in `texts`
  Table scores;     ///< double: Unigram's, of each token
  Table prefixIds;  ///< uint32_t: before every text with special tokens
  Table suffixIds;  ///< uint32_t: after it
  Table addedFlags; ///< uint8_t: AddedTokenFlags of each token; empty: none has any
};

/// A byte-level BPE tokenizer. Offsets are from the start of the Tokenizer section.
struct TokenizerHeader {
  uint32_t preTokenizer;                  ///< PreTokenizer
  uint32_t flags;                         ///< TokenizerFlags
  int32_t bosId, eosId, unknownId, padId; ///< -1 where there is none
  Table bytes;     ///< char: the tokens' bytes one after another, as they appear in text
  Table tokenEnds; ///< uint32_t: where token i ends in `bytes`; it begins where token i-1 ends
  Table types;     ///< uint8_t: TokenType of each token
  Table sortedIds; ///< uint32_t: Normal and UserDefined tokens, strictly ascending by bytes
                   ///< (unsigned)
  Table merges;    ///< MergeRecord, strictly ascending by (left, right)
  Table endIds;    ///< uint32_t: the tokens after which generation stops
};

/// Tokens `left` and `right`, side by side, become `result`, whose bytes are theirs joined. Of all
/// the pairs in a word the one of lowest rank is merged first, the leftmost of several.
struct MergeRecord {
  uint32_t left, right, result, rank;
};

static_assert(sizeof(TokenizerHeader) == 120 && sizeof(MergeRecord) == 16);
static_assert(sizeof(TextStepRecord) == 24 && sizeof(TokenizerExtension) == 152);

} // namespace ingot::format

#endif // INGOT_ARTIFACT_FORMAT_H
