//===- HuggingFaceTest.cpp - Folders: what is accepted and what is refused --------------------===//
//
// The configuration of a small fixture is changed entry by entry and imported with random weights,
// which need no files; a sentence names what is wrong.
//
//===------------------------------------------------------------------------------------------===//

#include "ingot/Import/Import.h"
#include "ingot/Import/Json.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

using namespace ingot;
namespace json = llvm::json;

namespace {

class Configuration {
public:
  explicit Configuration(const char *fixture)
      : config(llvm::cantFail(
            readJsonObject(std::string(INGOT_INPUTS "/") + fixture + "/config.json"))) {}

  Configuration &set(llvm::StringRef key, json::Value value) {
    config[key] = std::move(value);
    return *this;
  }
  Configuration &erase(llvm::StringRef key) {
    config.erase(key);
    return *this;
  }

  /// What the importer says, without the name of the store; empty where it succeeds.
  std::string import(import::ImportOptions options = {.randomSeed = 1}) {
    llvm::SmallString<128> path;
    int file;
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("config", "json", file, path));
    llvm::raw_fd_ostream(file, /*shouldClose=*/true) << json::Value(json::Object(config));
    static mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string text;
    mlir::ScopedDiagnosticHandler handler(
        &context, [&](mlir::Diagnostic &diagnostic) { text += diagnostic.str(); });
    auto model = import::importModel(path, &context, options);
    EXPECT_EQ(failed(model), !text.empty());
    llvm::sys::fs::remove(path);
    return llvm::StringRef(text).split(": ").second.str();
  }

  json::Object config;
};

} // namespace

TEST(HuggingFace, ImportsAConfigurationAloneWithRandomWeights) {
  for (const char *name : {"hf-llama", "hf-llama3", "hf-mistral", "hf-qwen2", "hf-qwen3",
                           "hf-gemma2", "hf-gemma3", "hf-olmo2", "hf-phi3", "hf-gpt2", "hf-neox"})
    EXPECT_EQ(Configuration(name).import(), "") << name;
  EXPECT_EQ(Configuration("hf-llama").import({}),
            "a configuration alone has no weights; name its folder, or ask for random ones");
}

TEST(HuggingFace, NamesMissingAndOddEntries) {
  EXPECT_EQ(Configuration("hf-llama").erase("hidden_size").import(),
            "entry 'hidden_size' of config.json is missing");
  EXPECT_EQ(Configuration("hf-llama").set("num_attention_heads", 0).import(),
            "entry 'num_attention_heads' of config.json is 0, expected 1 to 1073741824");
  EXPECT_EQ(Configuration("hf-llama").set("num_hidden_layers", "two").import(),
            "entry 'num_hidden_layers' of config.json is of type string, expected an integer");
  EXPECT_EQ(Configuration("hf-llama").set("rms_norm_eps", -1).import(),
            "entry 'rms_norm_eps' of config.json is -1, expected a positive number");
  EXPECT_EQ(Configuration("hf-llama").set("hidden_act", "tanh").import(),
            "entry 'hidden_act' of config.json is 'tanh', expected silu, gelu, gelu_new, "
            "gelu_pytorch_tanh or relu");
  EXPECT_EQ(Configuration("hf-llama").set("num_key_value_heads", 3).import(),
            "expected entry 'num_key_value_heads' of config.json to divide the 4 heads, got 3");
}

TEST(HuggingFace, RefusesWhatTheFamilyDoesNotDo) {
  EXPECT_EQ(Configuration("hf-llama").set("sliding_window", 4).import(),
            "sliding-window attention (entry 'sliding_window' of config.json) is not supported for "
            "architecture llama");
  EXPECT_EQ(Configuration("hf-llama").set("num_local_experts", 8).import(),
            "entry 'num_local_experts' of config.json asks for something that model_type 'llama' "
            "does not do here");
  // What is off asks for nothing.
  EXPECT_EQ(Configuration("hf-llama").set("use_qk_norm", false).import(), "");
  EXPECT_EQ(Configuration("hf-gpt2").set("scale_attn_by_inverse_layer_idx", true).import(),
            "entry 'scale_attn_by_inverse_layer_idx' of config.json asks for something that "
            "model_type 'gpt2' does not do here");
  EXPECT_EQ(
      Configuration("hf-llama").set("model_type", "lama").import(),
      "model_type 'lama' is not supported; known are bert, distilbert, gemma2, gemma3_text, gpt2, "
      "gpt_neox, llama, mistral, olmo2, phi3, qwen2, qwen3, roberta, xlm-roberta; the nearest "
      "is llama");
  EXPECT_EQ(Configuration("hf-llama").erase("model_type").import(),
            "entry 'model_type' of config.json is missing");
}

TEST(HuggingFace, RefusesRopeThatIsNotKnown) {
  auto rope = [](llvm::StringRef text) {
    auto rope = llvm::cantFail(json::parse(text));
    return Configuration("hf-llama").set("rope_parameters", std::move(rope)).import();
  };
  EXPECT_EQ(rope(R"({"rope_type": "spiral"})"),
            "rope scaling 'spiral' is not supported, only default, linear, dynamic, llama3, yarn "
            "and longrope");
  EXPECT_EQ(rope(R"({"rope_type": "linear"})"), "entry 'factor' of rope in config.json is missing");
  EXPECT_EQ(rope(R"({"rope_type": "linear", "factor": 0})"),
            "entry 'factor' of rope in config.json is 0, expected a positive number");
  EXPECT_EQ(rope(R"({"rope_type": "default", "mrope_section": [1, 2]})"),
            "entry 'mrope_section' of rope in config.json is not known to type 'default'");
  EXPECT_EQ(rope(R"({"rope_type": "longrope", "short_factor": [1]})"),
            "expected entry 'short_factor' of rope in config.json to be an array of 8 numbers");
  EXPECT_EQ(rope(R"({"rope_type": "default", "partial_rotary_factor": 0.1})"),
            "entry 'partial_rotary_factor' of config.json is 1.000000e-01, expected a share of the "
            "16 channels of a head that is an even number of them");
  EXPECT_EQ(rope("7"), "entry 'rope_parameters' of config.json is of type number, expected an "
                       "object");
}

TEST(HuggingFace, ReadsRopeInTheWordsOfOlderFolders) {
  EXPECT_EQ(Configuration("hf-llama")
                .erase("rope_parameters")
                .set("rope_theta", 10000)
                .set("rope_scaling", json::Object{{"type", "linear"}, {"factor", 2.0}})
                .import(),
            "");
}

TEST(HuggingFace, RefusesWindowsThatAreNotThere) {
  EXPECT_EQ(Configuration("hf-qwen2").set("layer_types", json::Array{"full_attention"}).import(),
            "expected entry 'layer_types' of config.json to name the kinds of 2 layers, got 1");
  EXPECT_EQ(Configuration("hf-qwen2")
                .set("layer_types", json::Array{"full_attention", "linear_attention"})
                .import(),
            "entry 'layer_types' of config.json names the kind 'linear_attention', expected "
            "full_attention or sliding_attention");
  EXPECT_EQ(Configuration("hf-qwen2").set("sliding_window", nullptr).import(),
            "entry 'sliding_window' of config.json is missing, and layer 1 has a window");
}

// Whatever stands in an entry: a model, or one sentence.
TEST(HuggingFace, SurvivesAnyValueOfAnyEntry) {
  std::vector<llvm::StringRef> values = {
      "null",   "-1",
      "0",      "1",
      "2.5",    "4000000000000000000",
      "1e300",  "true",
      R"("x")", "[]",
      "[1]",    R"(["sliding_attention", "sliding_attention", "sliding_attention"])",
      "{}",     R"({"factor": 2})"};
  for (const char *name : {"hf-llama-yarn", "hf-gemma3", "hf-phi3", "hf-gpt2", "hf-neox"})
    for (auto &[key, entry] : Configuration(name).config)
      for (llvm::StringRef value : values) {
        Configuration changed(name);
        changed.set(key, llvm::cantFail(json::parse(value)));
        EXPECT_EQ(changed.import().find('\n'), std::string::npos) << name << " " << key.str();
      }
}

TEST(HuggingFace, BoundsTheNumberOfLayers) {
  EXPECT_EQ(Configuration("hf-llama").set("num_hidden_layers", 4097).import(),
            "entry 'num_hidden_layers' of config.json is 4097, expected 1 to 4096");
}

TEST(HuggingFace, NamesTensorsThatDoNotFit) {
  mlir::MLIRContext context;
  std::string text;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) { text += diagnostic.str(); });
  EXPECT_TRUE(failed(import::importModel("/nowhere/config.json", &context, {.randomSeed = 1})));
  EXPECT_EQ(text, "/nowhere/config.json: No such file or directory");
}
