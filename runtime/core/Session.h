//===- Session.h - Sequences, their cache, and the step ---------------------------------------===//
//
// A session owns the arena, the KV cache and the inputs of one user of a model, and runs its
// program. A step takes some tokens of some sequences (a token of each of many while decoding, a
// chunk of a prompt, both at once) and gives the logits of the rows that were asked for:
//
//   SequenceId s = *session->addSequence();
//   session->step({{{s, prompt, /*outputs=*/1}}})  ->  logits of the prompt's last token
//   session->step({{{s, {&next, 1}, 1}}})          ->  logits after `next`
//
// All memory is taken when the session is made; a step allocates nothing. A step that is refused
// changes nothing. A session is used by one thread at a time.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_SESSION_H
#define INGOT_RUNTIME_CORE_SESSION_H

#include "runtime/core/Model.h"
#include "runtime/core/PageAllocator.h"

namespace ingot::runtime {

using SequenceId = uint32_t;

/// The next tokens of one sequence.
struct SequenceTokens {
  SequenceId sequence;
  std::span<const int32_t> tokens;
  uint64_t outputs; ///< logits are wanted for the last so many of `tokens`
};

/// Row i belongs to the i-th output asked for, in the order of the sequences. Valid until the next
/// step.
struct StepOutput {
  const float *logits;
  uint64_t rows, width;
};

struct SessionOptions {
  /// Fills the arena with NaN before each step: a kernel that reads what no kernel wrote shows. For
  /// tests.
  bool poisonArena = false;
  /// Measures the time of each launch; see getProfile.
  bool profile = false;
};

/// Time of one command of the plan, summed over its iterations and over the steps since the profile
/// was cleared.
struct CommandTime {
  uint32_t command; ///< index in the plan
  uint64_t launches;
  uint64_t nanoseconds;
  uint64_t rows;          ///< of its kernel's cost formula for bytes, over all launches
  uint64_t operationRows; ///< the same for operations
};

class Session {
public:
  static Result<std::unique_ptr<Session>> create(const Model &model,
                                                 const SessionOptions &options = {});

  Result<SequenceId> addSequence();
  /// Gives the sequence's pages back; its id may be used again for another.
  Status removeSequence(SequenceId sequence);
  /// Forgets the tokens from `length` on (a rejected draft, a prompt that shares a prefix with the
  /// last one).
  Status truncateSequence(SequenceId sequence, uint64_t length);
  Result<uint64_t> getLength(SequenceId sequence) const;
  uint64_t getFreePages() const { return pages.getFreeCount(); }

  Result<StepOutput> step(std::span<const SequenceTokens> batch);
  /// Nanoseconds of the last step on the device alone, see Queue::timeStep. Computes the same
  /// again.
  Result<uint64_t> timeLastStep(unsigned repeats);

  const Model &getModel() const { return *model; }
  /// What the session and its model took.
  MemoryUse getMemoryUse() const;
  std::span<const CommandTime> getProfile() const { return profile; }
  void clearProfile();

private:
  struct Sequence {
    bool live = false;
    uint64_t length = 0;
    uint64_t stamp = 0; ///< changes when pages leave the sequence: rows of the page table that
                        ///< copied it are stale
    std::vector<int32_t> pages;
  };
  /// A row of the page table that the device sees: whose pages it holds, and how many of them.
  struct Row {
    uint64_t stamp = 0;
    uint64_t pages = 0;
  };
  /// One entry of the plan, unrolled; addresses are final.
  struct Program {
    std::vector<void *> arguments;
    std::vector<Grid> grids;            ///< of each launch command
    std::vector<uint32_t> gridCommands; ///< command of each grid
    std::vector<Launch> launches;
    std::vector<uint32_t> launchCommands; ///< command of each launch
  };

  Session(const Model &model, const SessionOptions &options);
  Status allocate();
  Program unroll(const format::EntryRecord &entry) const;
  void *resolve(const format::ArgumentRecord &argument, uint64_t iteration) const;
  void evaluateGrids(Program &program) const;
  void setCounts(int64_t tokens, int64_t outputs, int64_t sequences);

  Status checkBatch(std::span<const SequenceTokens> batch);
  Status checkTokens(const SequenceTokens &part) const;
  uint64_t countMissingPages(const SequenceTokens &part) const;
  void writeInputs(std::span<const SequenceTokens> batch);
  void writePageRow(uint64_t row, Sequence &sequence);
  Status runProgram(Program &program);
  Status profileStep(const Program &program, const Step &step);
  Sequence *find(SequenceId sequence);
  int32_t *getInput(format::Input input) const;

  const Model *model;
  const format::PlanHeader *header;
  SessionOptions options;
  std::unique_ptr<Queue> queue;
  InputLayout inputLayout;
  std::unique_ptr<DeviceMemory> arena, cache, inputs;
  /// Only where the device's memory is not the host's.
  std::unique_ptr<DeviceMemory> hostInputs, hostOutput;
  int64_t counts[format::countCount] = {};
  int64_t gridCounts[format::countCount] = {}; ///< see Device::roundCount
  uint64_t contextTokens = 0;                  ///< of the step's sequences, with its tokens
  uint64_t contextPairs = 0;                   ///< of a token of the step and one that it sees
  std::vector<Program> programs;
  std::vector<Sequence> sequences;
  std::vector<Row> rows;
  std::vector<uint64_t> batchMarks; ///< step in which a sequence was last seen, to find it twice
  uint64_t stepNumber = 0, lastStamp = 0;
  Step lastStep; ///< without launches: there was none
  PageAllocator pages;
  std::vector<CommandTime> profile;
  std::vector<uint64_t> launchNanoseconds;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_SESSION_H
