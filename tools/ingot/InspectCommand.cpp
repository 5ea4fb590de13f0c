//===- InspectCommand.cpp - ingot inspect, verify, tokenize -----------------------------------===//
//
// What is in a file, whether it is whole, and how text becomes tokens.
//
//===------------------------------------------------------------------------------------------===//

#include "Commands.h"
#include <cstdio>
#include <cstring>
#include <ingot/Artifact/Format.h>
#include <nlohmann/json.hpp>

using namespace ingot::driver;

namespace {

Handle<IngotArtifact> openArtifact(const std::string &path) {
  IngotArtifact *artifact = nullptr;
  check(ingotArtifactOpen(path.c_str(), &artifact));
  return Handle<IngotArtifact>(artifact);
}

nlohmann::ordered_json describe(const IngotArtifact *artifact, bool plan) {
  IngotString text;
  check(ingotArtifactDescribe(artifact, plan, &text));
  auto json = nlohmann::ordered_json::parse(text.data, text.data + text.length);
  ingotStringFree(text);
  return json;
}

/// JSON for people: nested objects indented, tables a line each.
void print(const nlohmann::ordered_json &value, int depth) {
  for (auto &[key, item] : value.items()) {
    if (item.is_object()) {
      std::printf("%*s%s\n", depth * 2, "", key.c_str());
      print(item, depth + 1);
    } else if (item.is_array() && !item.empty() && item.front().is_object()) {
      std::printf("%*s%s\n", depth * 2, "", key.c_str());
      for (auto &row : item) {
        std::printf("%*s", depth * 2 + 2, "");
        for (auto &[name, cell] : row.items())
          std::printf("%s=%s ", name.c_str(),
                      cell.is_string() ? cell.get<std::string>().c_str() : cell.dump().c_str());
        std::printf("\n");
      }
    } else {
      std::printf("%*s%-24s %s\n", depth * 2, "", key.c_str(),
                  item.is_string() ? item.get<std::string>().c_str() : item.dump().c_str());
    }
  }
}

/// The PTX of a section of CUDA code. Nothing in the section is believed.
std::string readPtx(const IngotSection &section) {
  ingot::format::CudaCodeHeader header;
  auto bytes = static_cast<const char *>(section.data);
  if (section.bytes >= sizeof(header)) {
    std::memcpy(&header, bytes, sizeof(header));
    auto [offset, count] = header.ptx;
    if (offset <= section.bytes && count <= section.bytes - offset)
      return std::string(bytes + offset, strnlen(bytes + offset, count));
  }
  throw Failure(std::string("the code for ") + section.target + " has no PTX where it says");
}

/// Of each GPU target the kernels' code.
nlohmann::ordered_json listPtx(const IngotArtifact *artifact) {
  auto result = nlohmann::ordered_json::object();
  for (size_t i = 0; i < ingotArtifactSectionCount(artifact); ++i) {
    IngotSection section = ingotArtifactSection(artifact, i);
    if (std::string(section.kind) == "Kernels" && std::string(section.target).starts_with("cuda:"))
      result[section.target] = readPtx(section);
  }
  if (result.empty())
    throw Failure("the file has no code for a GPU to show as PTX");
  return result;
}

/// Of each CPU target the kernels' code.
nlohmann::ordered_json disassembleAll(const IngotArtifact *artifact) {
  auto result = nlohmann::ordered_json::object();
  for (size_t i = 0; i < ingotArtifactSectionCount(artifact); ++i) {
    IngotSection section = ingotArtifactSection(artifact, i);
    if (std::string(section.kind) == "Kernels" && std::string(section.target).starts_with("cpu:"))
      result[section.target] = disassemble(section.data, section.bytes);
  }
  if (result.empty())
    throw Failure("the file has no code for a CPU to show as assembly");
  return result;
}

} // namespace

void ingot::driver::addInspectCommand(CLI::App &app) {
  struct Arguments {
    std::string file;
    bool json = false, plan = false, assembly = false, ptx = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("inspect", "Shows what is in a compiled file");
  command->footer("Example: ingot inspect model.ingot --plan");
  command->add_option("file", arguments->file, ".ingot file")->required()->type_name("FILE");
  command->add_flag("--json", arguments->json, "one JSON object");
  command->add_flag("--plan", arguments->plan, "also buffers, weights, kernels and commands");
  command->add_flag(
      "--asm", arguments->assembly,
      "the code of the CPU kernels instead, as assembly; needs the compiler's library");
  command->add_flag("--ptx", arguments->ptx, "the code of the GPU kernels instead, as PTX");
  command->callback([arguments] {
    auto artifact = openArtifact(arguments->file);
    if (arguments->assembly || arguments->ptx) {
      auto code = nlohmann::ordered_json::object();
      if (arguments->assembly)
        code.update(disassembleAll(artifact.get()));
      if (arguments->ptx)
        code.update(listPtx(artifact.get()));
      if (arguments->json)
        std::printf("%s\n",
                    code.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
      else
        for (auto &[target, text] : code.items())
          std::printf("// %s\n%s", target.c_str(), text.get_ref<const std::string &>().c_str());
      return;
    }
    auto json = describe(artifact.get(), arguments->plan);
    json["card"] = nlohmann::ordered_json::parse(ingotArtifactCard(artifact.get()), nullptr,
                                                 /*allow_exceptions=*/false);
    if (arguments->json)
      std::printf("%s\n", json.dump().c_str());
    else
      print(json, 0);
  });
}

void ingot::driver::addVerifyCommand(CLI::App &app) {
  auto file = std::make_shared<std::string>();
  CLI::App *command =
      app.add_subcommand("verify", "Reads a compiled file and compares every checksum");
  command->footer("Example: ingot verify model.ingot");
  command->add_option("file", *file, ".ingot file")->required()->type_name("FILE");
  command->callback([file] {
    auto artifact = openArtifact(*file);
    check(ingotArtifactVerify(artifact.get()));
    std::printf("%s: every checksum is right\n", file->c_str());
  });
}

void ingot::driver::addTokenizeCommand(CLI::App &app) {
  struct Arguments {
    ModelArgument model;
    std::string prompt, file;
    bool json = false, decode = false, special = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App *command = app.add_subcommand("tokenize", "Text to token ids, or back");
  command->footer("Example: ingot tokenize model.ingot -p \"Hello\" --json");
  arguments->model.add(*command);
  auto *prompt =
      command->add_option("-p,--prompt", arguments->prompt, "text, or ids with --decode");
  command->add_option("-f,--file", arguments->file, "file with it; - is standard input")
      ->excludes(prompt);
  command->add_flag("--json", arguments->json, "a JSON array of ids, or a JSON string");
  command->add_flag("--decode", arguments->decode, "ids to text");
  command->add_flag("--special", arguments->special,
                    "control tokens written in the text are tokens");
  command->callback([arguments, prompt] {
    if (prompt->empty() && arguments->file.empty())
      throw Failure("there is nothing to tokenize: add -p TEXT or -f FILE");
    auto artifact = openArtifact(arguments->model.resolve());
    if (!arguments->decode) {
      std::string text = prompt->empty() ? readFile(arguments->file) : arguments->prompt;
      auto ids = tokenize(artifact.get(), text, /*addSpecial=*/false, arguments->special);
      if (arguments->json) {
        std::printf("%s\n", nlohmann::json(ids).dump().c_str());
        return;
      }
      for (size_t i = 0; i < ids.size(); ++i)
        std::printf(i ? " %d" : "%d", ids[i]);
      std::printf("\n");
      return;
    }
    std::vector<int32_t> ids;
    if (prompt->empty()) {
      ids = readTokens(arguments->file);
    } else {
      std::istringstream stream(arguments->prompt);
      for (std::string word; stream >> word;) {
        size_t used = 0;
        long value = -1;
        try {
          value = std::stol(word, &used);
        } catch (const std::exception &) {
        }
        if (used != word.size() || value < 0 || value > INT32_MAX)
          throw Failure("'" + word + "' is not a token id");
        ids.push_back(int32_t(value));
      }
    }
    IngotString text;
    check(ingotDetokenize(artifact.get(), ids.data(), ids.size(), /*showSpecial=*/true, &text));
    std::string result(text.data, text.length);
    ingotStringFree(text);
    if (arguments->json)
      std::printf("%s\n", nlohmann::json(result)
                              .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                              .c_str());
    else
      std::fwrite(result.data(), 1, result.size(), stdout);
  });
}
