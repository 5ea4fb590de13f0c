//===- ToyModel.h - A whole model of six kernels on integers ----------------------------------===//
//
// state = token + 1; three layers: append the state to the cache, state = weight * sum of the cache
// so far modulo 97; logits[v] = state * (v + 1). It goes through everything that a real plan has:
// arena, weights and cache with a stride over layers, all inputs, two entries, two code levels.
// `predict` says what comes out.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_TOYMODEL_H
#define INGOT_TEST_RUNTIME_TOYMODEL_H

#include "test/unit/runtime/ArtifactBuilder.h"

#include <fstream>
#include <iterator>

namespace ingot::test {

struct Toy {
  static constexpr int64_t pageTokens = 4, pagesPerSequence = 8, pageCount = 10, maxContext = 30;
  static constexpr int64_t maxTokens = 6, maxOutputs = 4, maxSequences = 3, layers = 3,
                           vocabulary = 11;
  static constexpr int64_t stateOffset = 0, logitsOffset = 64;
  static constexpr int64_t layerCacheBytes = pageCount * pageTokens * 4;
  static constexpr float layerWeights[layers] = {2, 3, 5};

  /// The state after the last of `history`.
  static float predict(const std::vector<int32_t> &history) {
    std::vector<float> state(history.size());
    for (size_t i = 0; i < history.size(); ++i)
      state[i] = float(history[i] + 1);
    for (float weight : layerWeights) {
      float sum = 0;
      for (float &value : state) {
        sum += value;
        value = float(int32_t(sum * weight) % 97);
      }
    }
    return state.back();
  }

  static std::vector<std::byte> readFile(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> text((std::istreambuf_iterator<char>(file)), {});
    Bytes bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }

  static std::vector<std::byte> readKernels() { return readFile(INGOT_TEST_KERNELS); }

  static ArtifactBuilder makeBuilder() {
    using namespace format;
    ArtifactBuilder b;
    b.code = {{"cpu:x86-64", readKernels()}};
    b.plan.maxTokens = maxTokens;
    b.plan.maxOutputs = maxOutputs;
    b.plan.maxSequences = maxSequences;
    b.plan.maxContext = maxContext;
    b.plan.pageTokens = pageTokens;
    b.plan.pageCount = pageCount;
    b.plan.pagesPerSequence = pagesPerSequence;
    b.plan.cacheBytes = layers * layerCacheBytes;
    b.plan.outputOffset = logitsOffset;
    b.plan.outputWidth = b.plan.inputVocabulary = vocabulary;
    b.plan.arenaBytes = logitsOffset + maxOutputs * vocabulary * 4;
    b.weights.resize(layers * weightAlignment);
    for (int64_t i = 0; i < layers; ++i) {
      std::memcpy(b.weights.data() + i * weightAlignment, &layerWeights[i], 4);
      b.weightRecords.push_back(
          {b.name("layer." + std::to_string(i)), b.name("f32"), {}, i * weightAlignment, 4, 1, 1});
    }
    const char *symbols[] = {"embed", "append", "attend", "project"};
    const uint32_t argumentCounts[] = {2, 5, 6, 3};
    for (int i = 0; i < 4; ++i)
      b.kernels.push_back(
          {b.name(symbols[i]), b.name("Toy"), argumentCounts[i], 0, 0, 4, 8, 2, 0, 0});
    // What TestKernels.c touches of each argument, in the order of the kernels.
    constexpr ReachRecord perToken{uint32_t(Count::Tokens), 0, 4, 0};
    constexpr ReachRecord perOutput{uint32_t(Count::Outputs), 0, 4, 0};
    constexpr ReachRecord table{uint32_t(Count::Sequences), 0, pagesPerSequence * 4, 0};
    constexpr ReachRecord layer{noCount, 0, 0, layerCacheBytes}, weight{noCount, 0, 0, 4};
    constexpr ReachRecord logits{uint32_t(Count::Outputs), 0, vocabulary * 4, 0};
    b.reaches = {perToken, perToken,                                       // embed
                 perToken, layer,     perToken, perToken, table,           // append
                 weight,   layer,     perToken, perToken, table, perToken, // attend
                 perToken, perOutput, logits};                             // project
    addEntry(b, "decode", 1, 1);
    addEntry(b, "prompt", 2, maxTokens);
    uint32_t last = uint32_t(b.commands.size() - 1);
    b.buffers.push_back({b.name("state"), stateOffset, maxTokens * 4, 0, last});
    b.buffers.push_back({b.name("logits"), logitsOffset, maxOutputs * vocabulary * 4, 0, last});
    return b;
  }

private:
  static void addEntry(ArtifactBuilder &b, const char *name, uint64_t minTokens,
                       uint64_t maxTokens) {
    using namespace format;
    uint32_t first = uint32_t(b.commands.size());
    ArgumentRecord state{uint32_t(Space::Arena), 0, stateOffset, 0};
    ArgumentRecord cache{uint32_t(Space::Cache), 0, 0, layerCacheBytes};
    ArgumentRecord weight{uint32_t(Space::Weights), 0, 0, weightAlignment};
    ArgumentRecord logits{uint32_t(Space::Arena), 0, logitsOffset, 0};
    addLaunch(b, 0, {input(Input::TokenIds), state}, Count::Tokens);
    addCommand(b, CommandKind::LoopBegin).iterations = layers;
    addLaunch(
        b, 1,
        {state, cache, input(Input::Positions), input(Input::SequenceOf), input(Input::PageTable)},
        Count::Tokens);
    addLaunch(b, 2,
              {weight, cache, input(Input::Positions), input(Input::SequenceOf),
               input(Input::PageTable), state},
              Count::Tokens);
    addCommand(b, CommandKind::LoopEnd);
    CommandRecord &project =
        addLaunch(b, 3, {state, input(Input::OutputRows), logits}, Count::Tokens);
    project.grid[0] = {noCount, 0, vocabulary, 0, 1};
    project.grid[1] = {uint32_t(Count::Outputs), 0, 1, 0, 1};
    b.entries.push_back(
        {b.name(name), first, uint32_t(b.commands.size()) - first, minTokens, maxTokens});
  }

  static format::ArgumentRecord input(format::Input which) {
    return {uint32_t(format::Space::Input), 0, uint64_t(which), 0};
  }

  static format::CommandRecord &addCommand(ArtifactBuilder &b, format::CommandKind kind) {
    format::CommandRecord command = {};
    command.kind = uint32_t(kind);
    for (format::GridExtent &extent : command.grid)
      extent = {format::noCount, 0, 1, 0, 1};
    command.layer = b.name("toy");
    b.commands.push_back(command);
    return b.commands.back();
  }

  static format::CommandRecord &addLaunch(ArtifactBuilder &b, uint32_t kernel,
                                          std::vector<format::ArgumentRecord> arguments,
                                          format::Count count) {
    format::CommandRecord &command = addCommand(b, format::CommandKind::Launch);
    command.kernel = kernel;
    command.firstArgument = uint32_t(b.arguments.size());
    command.argumentCount = uint32_t(arguments.size());
    command.grid[0].count = uint32_t(count);
    b.arguments.insert(b.arguments.end(), arguments.begin(), arguments.end());
    return command;
  }
};

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_TOYMODEL_H
