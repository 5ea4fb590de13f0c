//===- EmbedCommand.cpp - ingot embed ---------------------------------------------------------===//
//
// A line of text in, a vector out. Lines are packed into steps as they come, as many as fit,
// without a slot of padding; a vector does not depend on the lines that share its step. How it is
// made of a text's rows the model's card says.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include "OutputFile.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

using namespace ingot::driver;

namespace {

/// How one vector is made of the rows of a text.
struct Pooling {
  enum class Kind { Mean, First, Max } kind = Kind::Mean;
  bool normalizes = false;
  uint64_t maxTokens = 0; ///< longer texts are cut; 0: at the model's context

  explicit Pooling(const IngotArtifact *artifact) {
    auto card = nlohmann::json::parse(ingotArtifactCard(artifact), nullptr, false);
    if (!card.is_object() || !card.contains("embedding") || !card["embedding"].is_object())
      return;
    const nlohmann::json &said = card["embedding"];
    std::string name = said.value("pooling", std::string("mean"));
    kind = name == "first" ? Kind::First : name == "max" ? Kind::Max : Kind::Mean;
    normalizes = said.value("normalize", false);
    maxTokens = said.value("max_tokens", uint64_t(0));
  }

  std::vector<float> pool(const float *rows, uint64_t count, uint64_t width) const {
    std::vector<double> sums(rows, rows + width);
    for (uint64_t row = 1; row < count && kind != Kind::First; ++row)
      for (uint64_t i = 0; i < width; ++i) {
        double x = rows[row * width + i];
        sums[i] = kind == Kind::Mean ? sums[i] + x : std::max(sums[i], x);
      }
    double factor = kind == Kind::Mean ? 1.0 / count : 1.0;
    if (normalizes) {
      double squares = 0;
      for (double x : sums)
        squares += x * x;
      factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
    }
    std::vector<float> result(width);
    for (uint64_t i = 0; i < width; ++i)
      result[i] = float(sums[i] * factor);
    return result;
  }
};

/// Lines of a text; the last may lack its end.
std::vector<std::string> splitLines(const std::string &text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    size_t length = end - begin - (end > begin && text[end - 1] == '\r');
    lines.push_back(text.substr(begin, length));
    begin = end + 1;
  }
  return lines;
}

/// What went through the model.
struct Statistics {
  uint64_t lines = 0, tokens = 0, slots = 0, steps = 0, cut = 0;
  double seconds = 0;

  void print() const {
    std::fprintf(stderr,
                 "%llu lines, %llu tokens in %llu steps, %.3f s: %.0f tokens/s; padded to the "
                 "longest of each step they were %llu slots, %.0f %% of them saved; %llu lines "
                 "were cut\n",
                 (unsigned long long)lines, (unsigned long long)tokens, (unsigned long long)steps,
                 seconds, tokens / std::max(seconds, 1e-9), (unsigned long long)slots,
                 slots ? 100.0 * double(slots - tokens) / double(slots) : 0.0,
                 (unsigned long long)cut);
  }
};

class Embedder {
public:
  explicit Embedder(const IngotModel *model)
      : artifact(ingotModelArtifact(model)), session(createSession(model)),
        limits(ingotModelLimits(model)), pooling(artifact) {
    if (!isEncoder(limits))
      throw Failure("the model generates text, and is no encoder: see `ingot run`");
    most = std::min({limits.stepTokens, limits.stepOutputs, limits.contextTokens});
    if (pooling.maxTokens)
      most = std::min(most, pooling.maxTokens);
    special = tokenize(artifact, "", /*addSpecial=*/true, /*parseSpecial=*/false);
    if (most <= special.size())
      throw Failure("a text of " + std::to_string(most) + " tokens has no room beside the " +
                    std::to_string(special.size()) + " that frame it");
  }

  /// A vector for each line, in order.
  std::vector<std::vector<float>> embed(const std::vector<std::string> &lines) {
    std::vector<std::vector<int32_t>> step;
    uint64_t tokens = 0;
    for (const std::string &line : lines) {
      std::vector<int32_t> next = tokenizeLine(line);
      if (step.size() == limits.stepSequences ||
          tokens + next.size() > std::min(limits.stepTokens, limits.stepOutputs)) {
        run(step);
        step.clear();
        tokens = 0;
      }
      tokens += next.size();
      step.push_back(std::move(next));
    }
    if (!step.empty())
      run(step);
    return std::move(vectors);
  }

  Statistics statistics;

private:
  /// The tokens of a line with those that frame it, cut between them where they are too many.
  std::vector<int32_t> tokenizeLine(const std::string &line) {
    auto framed = tokenize(artifact, line, /*addSpecial=*/true, /*parseSpecial=*/false);
    if (framed.empty())
      throw Failure("a line has no tokens, and the model frames texts with none");
    if (framed.size() <= most)
      return framed;
    ++statistics.cut;
    // What stands behind the text: the frame's end as far as it agrees with this text's.
    size_t behind = 0;
    while (behind < special.size() &&
           special[special.size() - 1 - behind] == framed[framed.size() - 1 - behind])
      ++behind;
    size_t before =
        std::mismatch(special.begin(), special.end(), framed.begin()).first - special.begin();
    behind = std::min(behind, special.size() - std::min(before, special.size()));
    framed.erase(framed.begin() + (most - behind), framed.end() - behind);
    return framed;
  }

  void run(const std::vector<std::vector<int32_t>> &texts) {
    std::vector<IngotSequenceTokens> parts;
    uint64_t longest = 0;
    auto begin = std::chrono::steady_clock::now();
    for (const std::vector<int32_t> &text : texts) {
      uint32_t sequence = 0;
      check(ingotSessionAddSequence(session.get(), &sequence));
      parts.push_back({sequence, text.data(), text.size(), text.size()});
      longest = std::max<uint64_t>(longest, text.size());
      statistics.tokens += text.size();
    }
    IngotLogits rows;
    check(ingotSessionStep(session.get(), parts.data(), parts.size(), &rows));
    const float *at = rows.data;
    for (const IngotSequenceTokens &part : parts) {
      vectors.push_back(pooling.pool(at, part.count, rows.width));
      at += part.count * rows.width;
      check(ingotSessionRemoveSequence(session.get(), part.sequence));
    }
    statistics.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    statistics.lines += texts.size();
    statistics.slots += texts.size() * longest;
    ++statistics.steps;
  }

  const IngotArtifact *artifact;
  Handle<IngotSession> session;
  IngotLimits limits;
  Pooling pooling;
  uint64_t most = 0; ///< tokens of one text
  std::vector<int32_t> special;
  std::vector<std::vector<float>> vectors;
};

void print(const std::vector<std::vector<float>> &vectors, bool json) {
  for (const std::vector<float> &vector : vectors) {
    if (json) {
      std::printf("%s\n", nlohmann::json(vector).dump().c_str());
      continue;
    }
    for (size_t i = 0; i < vector.size(); ++i)
      std::printf("%s%.9g", i ? " " : "", double(vector[i]));
    std::printf("\n");
  }
}

} // namespace

void ingot::driver::addEmbedCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    std::string file = "-", output;
    bool json = false, timing = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("embed", "A vector for each line of text, by an encoder");
  command->footer("Example: ingot embed model.ingot -f lines.txt -o vectors.npy");
  arguments->model.add(*command);
  command->add_option("-f,--file", arguments->file, "file of lines; - is standard input")
      ->capture_default_str();
  auto *output = command->add_option("-o,--output", arguments->output,
                                     "float32 [lines, width], .npy (default: text)");
  command->add_flag("--json", arguments->json, "a JSON array for each line")->excludes(output);
  command->add_flag("--timing", arguments->timing,
                    "print on standard error how fast it was and what padding would have added");
  command->callback([arguments] {
    auto model = arguments->model.open();
    Embedder embedder(model.get());
    auto vectors = embedder.embed(splitLines(readFile(arguments->file)));
    if (vectors.empty())
      throw Failure(arguments->file + " has no lines");
    if (arguments->output.empty()) {
      print(vectors, arguments->json);
    } else {
      OutputFile file(arguments->output);
      std::string header = numpyHeader(vectors.size(), vectors.front().size());
      file.write(header.data(), header.size());
      for (const std::vector<float> &vector : vectors)
        file.write(vector.data(), vector.size() * sizeof(float));
      file.finish();
    }
    if (arguments->timing)
      embedder.statistics.print();
  });
}
