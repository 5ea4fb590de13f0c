//===- RunCommand.cpp - ingot run, ingot chat -------------------------------------------------===//
//
// Text in, tokens out, as they come. Ctrl-C ends the answer and, at the prompt of a chat, the
// program.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace ingot::driver;

namespace {

struct GenerationSettings {
  uint64_t tokens = 0, topK = 0, seed = 0;
  double temperature = 0, topP = 1, minP = 0, repetition = 1, frequency = 0, presence = 0;
  std::vector<std::string> stops;
  bool ignoreEnd = false, showSpecial = false, lookup = false;
  std::string draft;
  uint64_t draftTokens = 16;

  void add(CLI::App &app) {
    const char *group = "Generation";
    app.add_option("-n,--tokens", tokens,
                   "most tokens of the answer (default: up to the end of the context)")
        ->group(group);
    temperatureOption =
        app.add_option("--temperature", temperature, "0: always the most probable token")
            ->capture_default_str()
            ->group(group);
    topKOption = app.add_option("--top-k", topK, "choose among the K most probable tokens; 0: all")
                     ->capture_default_str()
                     ->group(group);
    topPOption =
        app.add_option("--top-p", topP, "choose among the most probable tokens of this mass")
            ->capture_default_str()
            ->group(group);
    minPOption =
        app.add_option("--min-p", minP, "drop tokens below this share of the most probable one")
            ->capture_default_str()
            ->group(group);
    repetitionOption =
        app.add_option("--repetition-penalty", repetition, "divides logits of tokens seen before")
            ->capture_default_str()
            ->group(group);
    app.add_option("--frequency-penalty", frequency,
                   "subtracted for each time that a token was answered")
        ->capture_default_str()
        ->group(group);
    app.add_option("--presence-penalty", presence, "subtracted once for a token that was answered")
        ->capture_default_str()
        ->group(group);
    app.add_option("--seed", seed, "of the random numbers")->capture_default_str()->group(group);
    app.add_option("--stop", stops, "text that ends the answer; may be given again")->group(group);
    app.add_flag("--ignore-end", ignoreEnd, "go on after end tokens")->group(group);
    app.add_flag("--show-special", showSpecial, "print control tokens too")->group(group);
    auto *guess = app.add_flag("--lookup", lookup,
                               "guess tokens from what followed before in the text and verify "
                               "several in a step; the answer is the same")
                      ->group(group);
    app.add_option("--draft", draft, "guess tokens with this smaller model (.ingot)")
        ->excludes(guess)
        ->group(group);
    app.add_option("--draft-tokens", draftTokens, "most tokens that are guessed at once")
        ->check(CLI::Range(uint64_t(1), uint64_t(1) << 16))
        ->capture_default_str()
        ->group(group);
  }

  /// Takes what the checkpoint wants where the user did not say.
  void useDefaults(const IngotArtifact *artifact) {
    auto card = nlohmann::json::parse(ingotArtifactCard(artifact), nullptr, false);
    if (!card.is_object() || !card.contains("sampling") || !card["sampling"].is_object())
      return;
    const nlohmann::json &sampling = card["sampling"];
    auto use = [&](const char *name, const CLI::Option *option, auto &value) {
      if (option->empty() && sampling.contains(name) && sampling[name].is_number())
        value = sampling[name].get<double>();
    };
    use("temperature", temperatureOption, temperature);
    use("top_k", topKOption, topK);
    use("top_p", topPOption, topP);
    use("min_p", minPOption, minP);
    use("repetition_penalty", repetitionOption, repetition);
  }

private:
  CLI::Option *temperatureOption = nullptr, *topKOption = nullptr, *topPOption = nullptr,
              *minPOption = nullptr, *repetitionOption = nullptr;
};

/// The conversation that a signal cancels.
std::atomic<IngotConversation *> running{nullptr};
std::atomic<bool> interrupted{false};

void onInterrupt(int) {
  interrupted = true;
  if (IngotConversation *conversation = running.load())
    ingotConversationCancel(conversation);
  else
    _exit(130);
}

struct Answer {
  std::string text;
  bool writeFailed = false;
};

bool showPiece(void *user, const char *text, size_t length, int32_t) {
  Answer &answer = *static_cast<Answer *>(user);
  answer.text.append(text, length);
  if (std::fwrite(text, 1, length, stdout) == length && std::fflush(stdout) == 0)
    return true;
  answer.writeFailed = true;
  return false;
}

/// Prints the answer to a prompt; returns it.
std::string generate(IngotConversation *conversation, const std::vector<int32_t> &prompt,
                     const GenerationSettings &settings, IngotSession *draft,
                     IngotGenerationReport &report) {
  std::vector<const char *> stops;
  for (const std::string &stop : settings.stops)
    stops.push_back(stop.c_str());
  IngotGenerationOptions options = INGOT_GENERATION_OPTIONS_INIT;
  options.temperature = settings.temperature;
  options.topK = settings.topK;
  options.topP = settings.topP;
  options.minP = settings.minP;
  options.repetitionPenalty = settings.repetition;
  options.frequencyPenalty = settings.frequency;
  options.presencePenalty = settings.presence;
  options.seed = settings.seed;
  options.maxTokens = settings.tokens;
  options.stops = stops.data();
  options.stopCount = stops.size();
  options.ignoreEnd = settings.ignoreEnd;
  options.showSpecial = settings.showSpecial;
  options.lookup = settings.lookup;
  options.draft = draft;
  options.draftTokens = settings.draftTokens;
  Answer answer;
  running = conversation;
  IngotError *error = ingotConversationGenerate(conversation, prompt.data(), prompt.size(),
                                                &options, showPiece, &answer, &report);
  running = nullptr;
  check(error);
  if (answer.writeFailed)
    throw Failure("cannot write to standard output");
  std::fputc('\n', stdout);
  if (report.reason == INGOT_FINISH_CONTEXT)
    std::fprintf(stderr, "the context is full after %llu tokens\n",
                 static_cast<unsigned long long>(report.promptTokens + report.answerTokens));
  return answer.text;
}

void printReport(const IngotGenerationReport &report) {
  auto rate = [](uint64_t tokens, uint64_t nanoseconds) {
    return nanoseconds ? 1e9 * tokens / nanoseconds : 0.0;
  };
  if (!isatty(STDERR_FILENO))
    return;
  std::fprintf(stderr, "prompt %llu tokens, %.0f tok/s; answer %llu tokens, %.0f tok/s\n",
               static_cast<unsigned long long>(report.promptTokens),
               rate(report.promptTokens - report.reusedTokens, report.promptNanoseconds),
               static_cast<unsigned long long>(report.answerTokens),
               rate(report.answerTokens, report.answerNanoseconds));
  if (report.draftedTokens)
    std::fprintf(stderr, "%llu of %llu guessed tokens stood, %llu steps\n",
                 static_cast<unsigned long long>(report.acceptedTokens),
                 static_cast<unsigned long long>(report.draftedTokens),
                 static_cast<unsigned long long>(report.steps));
}

/// The model that guesses, where there is one.
struct DraftModel {
  Handle<IngotModel> model;
  Handle<IngotSession> session;

  DraftModel(const GenerationSettings &settings, const ModelArgument &argument,
             const IngotModel *verifier) {
    if (settings.draft.empty())
      return;
    ModelArgument draft = argument; // compiled and run as the model is
    draft.path = settings.draft;
    model = draft.open(verifier); // two pools of threads would take each other's time
    session = createSession(model.get());
  }
};

Handle<IngotConversation> createConversation(IngotSession *session) {
  IngotConversation *conversation = nullptr;
  check(ingotConversationCreate(session, &conversation));
  return Handle<IngotConversation>(conversation);
}

/// A turn of the conversation.
struct Message {
  std::string role, content;
};

/// The messages so far as the model's template writes them, ready for an answer.
std::string applyTemplate(const IngotArtifact *artifact, const std::vector<Message> &messages) {
  std::vector<IngotMessage> turns;
  for (const Message &message : messages)
    turns.push_back({message.role.c_str(), message.content.c_str()});
  IngotString text;
  check(ingotApplyChatTemplate(artifact, turns.data(), turns.size(), /*addGenerationPrompt=*/true,
                               &text));
  std::string result(text.data, text.length);
  ingotStringFree(text);
  return result;
}

} // namespace

void ingot::driver::addRunCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    GenerationSettings generation;
    std::string prompt, file;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("run", "Continues a text");
  command->footer("Example: ingot run model.ingot -p \"The capital of France is\" -n 16");
  arguments->model.add(*command);
  auto *prompt = command->add_option("-p,--prompt", arguments->prompt, "text to continue");
  command->add_option("-f,--file", arguments->file, "file with the text; - is standard input")
      ->excludes(prompt);
  arguments->generation.add(*command);
  command->callback([arguments, prompt] {
    if (prompt->empty() && arguments->file.empty())
      throw Failure("there is nothing to continue: add -p TEXT or -f FILE");
    std::string text = prompt->empty() ? readFile(arguments->file) : arguments->prompt;
    auto model = arguments->model.open();
    auto session = createSession(model.get());
    DraftModel draft(arguments->generation, arguments->model, model.get());
    auto conversation = createConversation(session.get());
    auto tokens = tokenize(ingotModelArtifact(model.get()), text, /*addSpecial=*/true,
                           /*parseSpecial=*/false);
    std::signal(SIGINT, onInterrupt);
    IngotGenerationReport report;
    generate(conversation.get(), tokens, arguments->generation, draft.session.get(), report);
    printReport(report);
    if (interrupted)
      throw Failure("interrupted");
  });
}

void ingot::driver::addChatCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    GenerationSettings generation;
    std::string prompt, system;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("chat", "Answers messages; interactive without -p");
  command->footer("Example: ingot chat model.ingot -p \"What is the capital of France?\"");
  arguments->model.add(*command);
  command->add_option("-p,--prompt", arguments->prompt, "one message, answered and done");
  command->add_option("--system", arguments->system, "what the model is told first");
  arguments->generation.add(*command);
  command->callback([arguments] {
    auto model = arguments->model.open();
    const IngotArtifact *artifact = ingotModelArtifact(model.get());
    auto session = createSession(model.get());
    DraftModel draft(arguments->generation, arguments->model, model.get());
    auto conversation = createConversation(session.get());
    arguments->generation.useDefaults(artifact);
    std::signal(SIGINT, onInterrupt);
    std::vector<Message> messages;
    if (!arguments->system.empty())
      messages.push_back({"system", arguments->system});
    bool isInteractive = arguments->prompt.empty();
    std::string line = arguments->prompt;
    while (true) {
      if (isInteractive) {
        std::fprintf(stderr, "> ");
        if (!std::getline(std::cin, line))
          break;
        if (line.empty())
          continue;
      }
      messages.push_back({"user", line});
      auto tokens = tokenize(artifact, applyTemplate(artifact, messages), /*addSpecial=*/false,
                             /*parseSpecial=*/true);
      interrupted = false;
      IngotGenerationReport report;
      std::string answer =
          generate(conversation.get(), tokens, arguments->generation, draft.session.get(), report);
      printReport(report);
      messages.push_back({"assistant", answer});
      if (!isInteractive) {
        if (interrupted)
          throw Failure("interrupted");
        break;
      }
    }
  });
}
