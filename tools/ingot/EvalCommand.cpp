//===- EvalCommand.cpp - ingot eval, ingot logits ---------------------------------------------===//
//
// Numbers of a model on given tokens: logits as a NumPy file, perplexity of a text, and how far one
// model is from another.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include "OutputFile.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

using namespace ingot::driver;

namespace {

/// A model that reads a sequence, a step at a time.
class Reader {
public:
  explicit Reader(Handle<IngotModel> opened)
      : model(std::move(opened)), session(createSession(model.get())),
        limits(ingotModelLimits(model.get())) {
    check(ingotSessionAddSequence(session.get(), &sequence));
  }
  const IngotModel *getModel() const { return model.get(); }
  const IngotLimits &getLimits() const { return limits; }
  /// Most tokens of one step that gives all their logits.
  uint64_t getMostTokens() const { return std::min(limits.stepTokens, limits.stepOutputs); }
  /// The logits of the next tokens, until the next step.
  IngotLogits step(const int32_t *tokens, uint64_t count) {
    IngotSequenceTokens part{sequence, tokens, count, count};
    IngotLogits logits;
    check(ingotSessionStep(session.get(), &part, 1, &logits));
    return logits;
  }

private:
  Handle<IngotModel> model;
  Handle<IngotSession> session;
  IngotLimits limits;
  uint32_t sequence = 0;
};

/// log of the sum of e^x, and the index of the largest x.
struct Softmax {
  double logSum;
  uint64_t top;
  Softmax(const float *logits, uint64_t width) {
    top = std::max_element(logits, logits + width) - logits;
    double sum = 0;
    for (uint64_t i = 0; i < width; ++i)
      sum += std::exp(double(logits[i]) - logits[top]);
    logSum = logits[top] + std::log(sum);
  }
};

/// Sums over the tokens of a text.
class Evaluation {
public:
  /// `next` is the token that follows, -1 after the last; `expected` may be null.
  void addRow(const float *logits, const float *expected, uint64_t width, int32_t next) {
    Softmax softmax(logits, width);
    ++rows;
    if (next >= 0)
      logLikelihood += logits[next] - softmax.logSum;
    if (!expected)
      return;
    Softmax truth(expected, width);
    if (next >= 0)
      expectedLikelihood += expected[next] - truth.logSum;
    agreements += truth.top == softmax.top;
    largestFlip = std::max(largestFlip, double(expected[truth.top]) - expected[softmax.top]);
    for (uint64_t i = 0; i < width; ++i) {
      double logP = expected[i] - truth.logSum;
      divergence += std::exp(logP) * (logP - (logits[i] - softmax.logSum));
    }
  }
  nlohmann::ordered_json report(bool isComparison) const {
    nlohmann::ordered_json result;
    result["tokens"] = rows;
    result["perplexity"] = std::exp(-logLikelihood / (rows - 1));
    if (isComparison) {
      result["against_perplexity"] = std::exp(-expectedLikelihood / (rows - 1));
      result["mean_kl"] = divergence / rows;
      result["top1_agreement"] = double(agreements) / rows;
      result["largest_flipped_margin"] = largestFlip;
    }
    return result;
  }

private:
  double logLikelihood = 0, expectedLikelihood = 0, divergence = 0, largestFlip = 0;
  uint64_t rows = 0, agreements = 0;
};

/// The source of `model` in float32: what every compilation of it approximates.
ModelArgument findReference(const ModelArgument &model, const IngotArtifact *artifact) {
  ModelArgument reference = model;
  reference.device.clear(); // the one that its code is for
  reference.settings.activations = "float";
  reference.settings.kvFormat = "f32";
  if (model.path != model.resolve())
    return reference;
  auto card = nlohmann::json::parse(ingotArtifactCard(artifact), nullptr,
                                    /*allow_exceptions=*/false);
  const nlohmann::json sources =
      card.is_object() ? card.value("sources", nlohmann::json::array()) : nlohmann::json::array();
  if (!sources.is_array() || sources.empty() || !sources[0].is_object())
    throw Failure(model.path + " does not say from what it was compiled: name the source instead");
  reference.path = sources[0].value("file", std::string());
  std::error_code error;
  uint64_t bytes = std::filesystem::file_size(reference.path, error);
  if (error || bytes != sources[0].value("bytes", uint64_t(0)))
    throw Failure(model.path + " was compiled from " + reference.path + ", which is " +
                  (error ? "not there" : "another file now") + ": name the source instead");
  return reference;
}

} // namespace

void ingot::driver::addLogitsCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    std::string tokens, output;
    uint64_t chunk = 0;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command =
      app.add_subcommand("logits", "Writes the logits of given tokens as a NumPy file");
  command->footer("Example: ingot logits model.ingot --tokens ids.txt -o logits.npy");
  arguments->model.add(*command);
  command
      ->add_option("--tokens", arguments->tokens,
                   "file of token ids, white-space separated; - is standard input")
      ->required();
  command
      ->add_option("-o,--output", arguments->output,
                   "float32 [tokens, vocabulary] (of an encoder [tokens, width]), .npy")
      ->required();
  command->add_option("--chunk", arguments->chunk,
                      "tokens of one step (default: as many as the model allows)");
  command->callback([arguments] {
    Reader model(arguments->model.open());
    auto tokens = readTokens(arguments->tokens);
    uint64_t most = model.getMostTokens();
    if (arguments->chunk)
      most = std::min(most, arguments->chunk);
    if (isEncoder(model.getLimits()) && tokens.size() > most)
      throw Failure("an encoder takes a text in one step: there are " +
                    std::to_string(tokens.size()) + " tokens, a step has at most " +
                    std::to_string(most));
    OutputFile file(arguments->output);
    std::string header = numpyHeader(tokens.size(), model.getLimits().outputWidth);
    file.write(header.data(), header.size());
    for (uint64_t first = 0; first < tokens.size(); first += most) {
      IngotLogits logits =
          model.step(tokens.data() + first, std::min<uint64_t>(most, tokens.size() - first));
      file.write(logits.data, logits.rows * logits.width * sizeof(float));
    }
    file.finish();
  });
}

void ingot::driver::addEvalCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    std::string text, against;
    uint64_t limit = 0;
    bool reference = false, json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command =
      app.add_subcommand("eval", "Perplexity of a text, and the divergence from another model");
  command->footer("Example: ingot eval model.ingot --text book.txt --reference");
  arguments->model.add(*command);
  command->add_option("--text", arguments->text, "file; - is standard input")->required();
  auto *against = command->add_option("--against", arguments->against,
                                      "the model to compare with, an .ingot file or a source");
  command
      ->add_flag("--reference", arguments->reference,
                 "compare with the model's source, compiled with float32 activations and cache")
      ->excludes(against);
  command->add_option("--limit", arguments->limit,
                      "tokens of the text (default: as many as the context holds)");
  command->add_flag("--json", arguments->json, "one JSON object");
  command->callback([arguments] {
    Reader model(arguments->model.open());
    refuseEncoder(model.getLimits(), "eval");
    const IngotArtifact *artifact = ingotModelArtifact(model.getModel());
    auto tokens = tokenize(artifact, readFile(arguments->text), true, false);
    uint64_t limit = model.getLimits().contextTokens, width = model.getLimits().outputWidth;
    uint64_t most = model.getMostTokens();
    std::optional<Reader> other;
    if (arguments->reference)
      other.emplace(findReference(arguments->model, artifact).open());
    else if (!arguments->against.empty())
      other.emplace(
          ModelArgument{arguments->against, /*device=*/"", arguments->model.settings}.open());
    if (other) {
      if (other->getLimits().outputWidth != width)
        throw Failure("the model to compare with has " +
                      std::to_string(other->getLimits().outputWidth) + " logits a token, not " +
                      std::to_string(width));
      limit = std::min(limit, other->getLimits().contextTokens);
      most = std::min(most, other->getMostTokens());
    }
    if (arguments->limit)
      limit = std::min(limit, arguments->limit);
    if (tokens.size() > limit)
      tokens.resize(limit);
    if (tokens.size() < 2)
      throw Failure(arguments->text + " has " + std::to_string(tokens.size()) +
                    " tokens, at least 2 are needed");
    Evaluation evaluation;
    for (uint64_t first = 0; first < tokens.size(); first += most) {
      uint64_t count = std::min<uint64_t>(most, tokens.size() - first);
      IngotLogits logits = model.step(tokens.data() + first, count), expected = {};
      if (other)
        expected = other->step(tokens.data() + first, count);
      for (uint64_t row = 0; row < count; ++row) {
        uint64_t next = first + row + 1;
        evaluation.addRow(logits.data + row * width, other ? expected.data + row * width : nullptr,
                          width, next < tokens.size() ? tokens[next] : -1);
      }
    }
    nlohmann::ordered_json result = evaluation.report(other.has_value());
    if (arguments->json) {
      std::printf("%s\n", result.dump().c_str());
      return;
    }
    for (auto &[key, value] : result.items())
      std::printf("%-24s %s\n", key.c_str(), value.dump().c_str());
  });
}
