//===- EvalCommand.cpp - ingot eval, ingot logits ---------------------------------------------===//
//
// Numbers of a model on given tokens: logits as a NumPy file, perplexity of a text, and how far one
// model is from another.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

using namespace ingot::driver;

namespace {

/// Calls `use(row, logits, width)` for each token of a sequence in turn.
void forEachRow(const IngotModel *model, IngotSession *session, const std::vector<int32_t> &tokens,
                uint64_t chunk, const std::function<void(uint64_t, const float *, uint64_t)> &use) {
  IngotLimits limits = ingotModelLimits(model);
  uint64_t most = std::min(limits.stepTokens, limits.stepOutputs);
  if (chunk)
    most = std::min(most, chunk);
  uint32_t sequence = 0;
  check(ingotSessionAddSequence(session, &sequence));
  for (uint64_t first = 0; first < tokens.size(); first += most) {
    uint64_t count = std::min<uint64_t>(most, tokens.size() - first);
    IngotSequenceTokens part{sequence, tokens.data() + first, count, count};
    IngotLogits logits;
    check(ingotSessionStep(session, &part, 1, &logits));
    for (uint64_t row = 0; row < logits.rows; ++row)
      use(first + row, logits.data + row * logits.width, logits.width);
  }
  check(ingotSessionRemoveSequence(session, sequence));
}

/// The header of a NumPy file of float32 [rows, columns].
std::string numpyHeader(uint64_t rows, uint64_t columns) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                     ", " + std::to_string(columns) + "), }";
  constexpr size_t prefix = 10, alignment = 64;
  text.append(alignment - (prefix + text.size() + 1) % alignment, ' ');
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += char(text.size() & 0xff);
  header += char(text.size() >> 8);
  return header + text;
}

/// A file that appears under its name only when it is whole.
class OutputFile {
public:
  explicit OutputFile(std::string path) : path(std::move(path)), temporary(this->path + ".tmp") {
    file = std::fopen(temporary.c_str(), "wb");
    if (!file)
      throw Failure("cannot write " + this->path + ": " + std::strerror(errno));
  }
  ~OutputFile() {
    if (file) {
      std::fclose(file);
      std::remove(temporary.c_str());
    }
  }
  void write(const void *data, size_t bytes) {
    if (std::fwrite(data, 1, bytes, file) != bytes)
      throw Failure("cannot write " + path + ": " + std::strerror(errno));
  }
  void finish() {
    bool failed = std::fflush(file) != 0;
    failed |= std::fclose(file) != 0;
    file = nullptr;
    if (failed || std::rename(temporary.c_str(), path.c_str()) != 0) {
      std::string reason = std::strerror(errno);
      std::remove(temporary.c_str());
      throw Failure("cannot write " + path + ": " + reason);
    }
  }

private:
  std::string path, temporary;
  std::FILE *file = nullptr;
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

struct Divergence {
  double logLikelihood = 0, otherLikelihood = 0, kl = 0;
  uint64_t rows = 0, agreements = 0;
};

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
  command->add_option("-o,--output", arguments->output, "float32 [tokens, vocabulary], .npy")
      ->required();
  command->add_option("--chunk", arguments->chunk,
                      "tokens of one step (default: as many as the model allows)");
  command->callback([arguments] {
    auto model = arguments->model.open();
    auto session = createSession(model.get());
    auto tokens = readTokens(arguments->tokens);
    OutputFile file(arguments->output);
    std::string header = numpyHeader(tokens.size(), ingotModelLimits(model.get()).outputWidth);
    file.write(header.data(), header.size());
    forEachRow(model.get(), session.get(), tokens, arguments->chunk,
               [&](uint64_t, const float *row, uint64_t width) {
                 file.write(row, width * sizeof(float));
               });
    file.finish();
  });
}

void ingot::driver::addEvalCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    std::string text, against;
    uint64_t limit = 0;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command =
      app.add_subcommand("eval", "Perplexity of a text, and the divergence from another model");
  command->footer("Example: ingot eval model.ingot --text book.txt --against float.ingot");
  arguments->model.add(*command);
  command->add_option("--text", arguments->text, "file; - is standard input")->required();
  command->add_option("--against", arguments->against, "the model to compare with, an .ingot file");
  command->add_option("--limit", arguments->limit,
                      "tokens of the text (default: as many as the context holds)");
  command->add_flag("--json", arguments->json, "one JSON object");
  command->callback([arguments] {
    auto model = arguments->model.open();
    auto session = createSession(model.get());
    auto tokens = tokenize(ingotModelArtifact(model.get()), readFile(arguments->text), true, false);
    uint64_t limit = ingotModelLimits(model.get()).contextTokens;
    if (arguments->limit)
      limit = std::min(limit, arguments->limit);
    if (tokens.size() > limit)
      tokens.resize(limit);
    if (tokens.size() < 2)
      throw Failure(arguments->text + " has " + std::to_string(tokens.size()) +
                    " tokens, at least 2 are needed");

    // The other model's rows are kept in float32, chunk by chunk would need both sessions in step.
    Handle<IngotModel> other;
    Handle<IngotSession> otherSession;
    std::vector<float> reference;
    uint64_t width = ingotModelLimits(model.get()).outputWidth;
    if (!arguments->against.empty()) {
      ModelArgument against{arguments->against, /*device=*/"", arguments->model.settings};
      other = against.open();
      if (ingotModelLimits(other.get()).outputWidth != width)
        throw Failure(arguments->against + " has " +
                      std::to_string(ingotModelLimits(other.get()).outputWidth) +
                      " logits a token, the model " + std::to_string(width));
      otherSession = createSession(other.get());
      reference.resize(tokens.size() * width);
      forEachRow(other.get(), otherSession.get(), tokens, 0,
                 [&](uint64_t row, const float *logits, uint64_t) {
                   std::copy(logits, logits + width, reference.begin() + row * width);
                 });
    }
    Divergence sum;
    forEachRow(model.get(), session.get(), tokens, 0,
               [&](uint64_t row, const float *logits, uint64_t) {
                 Softmax softmax(logits, width);
                 bool hasNext = row + 1 < tokens.size();
                 if (hasNext)
                   sum.logLikelihood += logits[tokens[row + 1]] - softmax.logSum;
                 ++sum.rows;
                 if (reference.empty())
                   return;
                 const float *expected = reference.data() + row * width;
                 Softmax truth(expected, width);
                 if (hasNext)
                   sum.otherLikelihood += expected[tokens[row + 1]] - truth.logSum;
                 sum.agreements += truth.top == softmax.top;
                 for (uint64_t i = 0; i < width; ++i) {
                   double logP = expected[i] - truth.logSum;
                   sum.kl += std::exp(logP) * (logP - (logits[i] - softmax.logSum));
                 }
               });
    nlohmann::ordered_json result;
    result["tokens"] = tokens.size();
    result["perplexity"] = std::exp(-sum.logLikelihood / (tokens.size() - 1));
    if (!reference.empty()) {
      result["against_perplexity"] = std::exp(-sum.otherLikelihood / (tokens.size() - 1));
      result["mean_kl"] = sum.kl / sum.rows;
      result["top1_agreement"] = double(sum.agreements) / sum.rows;
    }
    if (arguments->json) {
      std::printf("%s\n", result.dump().c_str());
      return;
    }
    for (auto &[key, value] : result.items())
      std::printf("%-20s %s\n", key.c_str(), value.dump().c_str());
  });
}
