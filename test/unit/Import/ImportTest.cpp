//===- ImportTest.cpp - What the importer refuses, and with which sentence --------------------===//
//
// A complete llama checkpoint of one layer, made in memory, is imported; then one thing at a time
// is taken away or changed. The imported program itself is checked in test/import.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "GgufBuilder.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>
#include <map>

using namespace ingot;

namespace {

/// A llama checkpoint whose entries and tensors can be changed before it is imported.
struct LlamaFile {
  std::string architecture = "llama";
  std::map<std::string, uint32_t> integers = {
      {"llama.block_count", 1},          {"llama.embedding_length", 32},
      {"llama.feed_forward_length", 64}, {"llama.attention.head_count", 4},
      {"llama.context_length", 16},      {"llama.attention.head_count_kv", 2}};
  std::map<std::string, float> floats = {{"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
  std::map<std::string, std::string> strings;
  std::map<std::string, std::vector<uint64_t>> tensors = {
      {"token_embd.weight", {32, 10}},        {"output_norm.weight", {32}},
      {"blk.0.attn_norm.weight", {32}},       {"blk.0.attn_q.weight", {32, 32}},
      {"blk.0.attn_k.weight", {32, 16}},      {"blk.0.attn_v.weight", {32, 16}},
      {"blk.0.attn_output.weight", {32, 32}}, {"blk.0.ffn_norm.weight", {32}},
      {"blk.0.ffn_gate.weight", {32, 64}},    {"blk.0.ffn_up.weight", {32, 64}},
      {"blk.0.ffn_down.weight", {64, 32}}};

  std::unique_ptr<GgufFile> write() const {
    GgufBuilder builder;
    builder.addHeader(tensors.size(), 1 + integers.size() + floats.size() + strings.size());
    builder.addStringEntry("general.architecture", architecture);
    for (auto &[key, value] : integers)
      builder.addEntry(key, GgufType::U32, value);
    for (auto &[key, value] : floats)
      builder.addEntry(key, GgufType::F32, value);
    for (auto &[key, value] : strings)
      builder.addStringEntry(key, value);
    uint64_t offset = 0;
    for (auto &[name, sizes] : tensors) {
      builder.addTensor(name, sizes, /*type=*/0, offset);
      uint64_t bytes = 4;
      for (uint64_t size : sizes)
        bytes *= size;
      offset += (bytes + 31) / 32 * 32;
    }
    builder.pad();
    builder.bytes.resize(builder.bytes.size() + offset);
    return llvm::cantFail(builder.parse());
  }

  /// All that the importer says, a line a diagnostic; empty where it succeeds.
  std::string import() const {
    mlir::MLIRContext context;
    std::string text;
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      text += (text.empty() ? "" : "\n") + diagnostic.str();
    });
    bool hasFailed = failed(import::importGgufProgram(write(), &context));
    EXPECT_EQ(hasFailed, !text.empty());
    return text;
  }
};

} // namespace

TEST(Import, AcceptsACompleteFile) { EXPECT_EQ(LlamaFile().import(), ""); }

TEST(Import, NamesAMissingKey) {
  LlamaFile file;
  file.integers.erase("llama.feed_forward_length");
  EXPECT_EQ(file.import(), "test.gguf: metadata entry 'llama.feed_forward_length' is missing");
}

TEST(Import, NamesAKeyOfAnotherType) {
  LlamaFile file;
  file.integers.erase("llama.block_count");
  file.strings["llama.block_count"] = "one";
  EXPECT_EQ(file.import(),
            "test.gguf: metadata entry 'llama.block_count' is of type string, expected an integer");
}

TEST(Import, NamesTheRangeOfASize) {
  LlamaFile file;
  file.integers["llama.attention.head_count"] = 0;
  EXPECT_EQ(file.import(), "test.gguf: metadata entry 'llama.attention.head_count' is 0, expected "
                           "1 to 1073741824");
}

TEST(Import, RefusesAnEpsilonThatIsNotPositive) {
  LlamaFile file;
  file.floats["llama.attention.layer_norm_rms_epsilon"] = -1;
  EXPECT_EQ(file.import(), "test.gguf: metadata entry 'llama.attention.layer_norm_rms_epsilon' is "
                           "-1, expected a positive number");
}

TEST(Import, NamesAMissingTensor) {
  LlamaFile file;
  file.tensors.erase("blk.0.ffn_up.weight");
  EXPECT_EQ(file.import(), "test.gguf: tensor 'blk.0.ffn_up.weight' of shape [64, 32] is missing");
}

TEST(Import, SaysOneSentenceOfSeveralProblems) {
  LlamaFile file;
  file.integers["llama.block_count"] = 1000;
  EXPECT_EQ(file.import(), "test.gguf: tensor 'blk.1.attn_norm.weight' of shape [32] is missing");
}

TEST(Import, NamesAShapeThatDisagreesWithTheHyperParameters) {
  LlamaFile file;
  file.tensors["blk.0.attn_k.weight"] = {32, 32};
  EXPECT_EQ(file.import(), "test.gguf: expected tensor 'blk.0.attn_k.weight' to have shape "
                           "[16, 32] by the hyper-parameters, got [32, 32]");
}

TEST(Import, RefusesTensorsThatNothingUses) {
  LlamaFile file;
  file.tensors["blk.0.attn_q_norm.weight"] = {8};
  EXPECT_EQ(file.import(),
            "test.gguf: tensor 'blk.0.attn_q_norm.weight' is not part of the architecture");
}

TEST(Import, ListsKnownArchitecturesAndTheNearest) {
  LlamaFile file;
  file.architecture = "lama2";
  EXPECT_EQ(file.import(), "test.gguf: architecture 'lama2' is not supported; known are gemma2, "
                           "gpt2, gptneox, llama, olmo2, phi3, qwen2, qwen3; the nearest is llama");
}

TEST(Import, RefusesHeadsThatDoNotDivide) {
  LlamaFile file;
  file.integers["llama.attention.head_count_kv"] = 3;
  EXPECT_EQ(file.import(), "test.gguf: expected metadata entry 'llama.attention.head_count_kv' to "
                           "divide the 4 heads, got 3");
}

TEST(Import, RefusesRopeScalingByName) {
  LlamaFile file;
  file.strings["llama.rope.scaling.type"] = "yarn";
  EXPECT_EQ(file.import(), "test.gguf: rope scaling 'yarn' is not supported, only none and linear");
}

TEST(Import, RefusesRopeDimensionsBeyondTheHead) {
  LlamaFile file;
  file.integers["llama.rope.dimension_count"] = 10;
  EXPECT_EQ(file.import(), "test.gguf: metadata entry 'llama.rope.dimension_count' is 10, expected "
                           "an even number up to the head dimension 8");
}

TEST(Import, RefusesMixturesOfExpertsByName) {
  LlamaFile file;
  file.integers["llama.expert_count"] = 8;
  EXPECT_EQ(file.import(), "test.gguf: mixture of experts (metadata entry 'llama.expert_count') is "
                           "not supported for architecture llama");
}

TEST(Import, ReadsTheTokenizer) {
  auto file = llvm::cantFail(GgufFile::open(INGOT_INPUTS "/tiny-tied.gguf"));
  auto tokenizer = llvm::cantFail(import::readGgufTokenizer(*file));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->tokens.size(), 272u);
  EXPECT_EQ(tokenizer->merges.front(), "\xc4\xa0 t");
  EXPECT_EQ(tokenizer->bosId, 1);
  EXPECT_EQ(tokenizer->eosId, 2);
  // "<|endoftext|>" and "<|im_end|>" both end a text.
  EXPECT_EQ(tokenizer->endIds, (std::vector<int32_t>{0, 2}));
}

TEST(Import, RefusesTokenizersByName) {
  LlamaFile file;
  file.strings["tokenizer.ggml.model"] = "bert";
  auto tokenizer = import::readGgufTokenizer(*file.write());
  EXPECT_EQ(llvm::toString(tokenizer.takeError()),
            "test.gguf: tokenizer 'bert' is not supported, only gpt2 (byte-level BPE) and llama "
            "(SentencePiece's BPE)");
  file.strings["tokenizer.ggml.model"] = "llama";
  auto empty = import::readGgufTokenizer(*file.write());
  EXPECT_TRUE(bool(empty)) << llvm::toString(empty.takeError());
  file.floats["tokenizer.ggml.scores"] = 1;
  auto wrong = import::readGgufTokenizer(*file.write());
  EXPECT_EQ(llvm::toString(wrong.takeError()),
            "test.gguf: metadata entry 'tokenizer.ggml.scores' is not an array of floats");
}

TEST(Import, RefusesTokenTypesThatAreNone) {
  GgufBuilder builder;
  builder.addHeader(0, 3).addStringEntry("tokenizer.ggml.model", "gpt2");
  builder.addStringEntry("tokenizer.ggml.pre", "smollm");
  builder.addName("tokenizer.ggml.token_type").add(GgufType::Array).add(GgufType::I32);
  builder.add<uint64_t>(1).add<int32_t>(256);
  auto file = llvm::cantFail(builder.pad().parse());
  auto tokenizer = import::readGgufTokenizer(*file);
  EXPECT_EQ(llvm::toString(tokenizer.takeError()),
            "test.gguf: metadata entry 'tokenizer.ggml.token_type' has the type 256, expected 0 to "
            "255");
}

TEST(Import, ReadsTheWholeModel) {
  mlir::MLIRContext context;
  auto model = import::importModel(INGOT_INPUTS "/tiny-tied.gguf", &context);
  ASSERT_TRUE(succeeded(model));
  EXPECT_EQ(model->name, "tiny-tied");
  EXPECT_NE(model->chatTemplate.find("add_generation_prompt"), std::string::npos);
  EXPECT_TRUE(model->weights->find("blk.2.ffn_down.weight"));
}
