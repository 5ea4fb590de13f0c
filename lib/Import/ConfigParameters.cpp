//===- ConfigParameters.cpp - Hyper-parameters of a folder's config.json ----------------------===//
//
// See ConfigParameters.h.
//
//===------------------------------------------------------------------------------------------===//

#include "ConfigParameters.h"
#include "Rope.h"
#include "ingot/Import/Json.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace ingot;
using namespace ingot::import;
using llvm::StringRef;
namespace json = llvm::json;

/// Entries that say nothing about what the model computes: training, bookkeeping, defaults of
/// generation that older folders keep here; and how weights are stored (QuantizationConfig.h).
static constexpr StringRef harmless =
    "_attn_implementation_autoset _name_or_path add_cross_attention architectures "
    "attention_dropout attention_probs_dropout_prob attn_pdrop auto_map bad_words_ids "
    "begin_suppress_tokens bos_token_id chunk_size_feed_forward classifier_dropout "
    "compression_config "
    "cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dtype "
    "early_stopping embd_pdrop embedding_dropout encoder_no_repeat_ngram_size eos_token_id "
    "exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id "
    "hidden_dropout hidden_dropout_prob id2label initializer_factor initializer_range "
    "is_decoder is_encoder_decoder keys_to_ignore_at_inference label2id length_penalty max_length "
    "min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_return_sequences "
    "output_attentions output_hidden_states output_past output_scores pad_token_id prefix "
    "pretraining_tp problem_type pruned_heads quantization_config remove_invalid_values "
    "repetition_penalty "
    "resid_pdrop return_dict return_dict_in_generate sep_token_id suppress_tokens "
    "task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p torch_dtype "
    "torchscript transformers.js_config transformers_version typical_p use_bfloat16 use_cache";

ConfigParameters::ConfigParameters(const json::Object &config, StringRef family,
                                   llvm::ArrayRef<NameTable> tables, StringRef ignored,
                                   int64_t contextAskedFor, ModelBuilder &model)
    : Parameters(family, /*folder=*/true, contextAskedFor, model), config(config),
      tables(tables.begin(), tables.end()) {
  for (StringRef list : {harmless, ignored}) {
    llvm::SmallVector<StringRef> words;
    llvm::SplitString(list, words);
    known.insert_range(words);
  }
}

std::string ConfigParameters::describe(StringRef role) const {
  return "entry '" + findName(tables, role).value_or(role).str() + "' of config.json";
}

bool ConfigParameters::isThere(StringRef role) {
  auto key = findName(tables, role);
  return key && config.get(*key);
}

std::optional<json::Value> ConfigParameters::find(StringRef role) {
  auto key = findName(tables, role);
  if (!key)
    return std::nullopt;
  known.insert(*key);
  auto *value = config.get(*key);
  if (!value || value->kind() == json::Value::Null)
    return std::nullopt;
  return *value;
}

void ConfigParameters::finish() {
  // Sorted, so that the same file gives the same sentence.
  std::vector<StringRef> keys;
  for (auto &[key, value] : config) {
    auto *array = value.getAsArray();
    auto *object = value.getAsObject();
    bool isOff = value.getAsNull() || value.getAsBoolean() == false || value.getAsNumber() == 0.0 ||
                 value.getAsString() == "" || (array && array->empty()) ||
                 (object && object->empty());
    if (!known.contains(key) && !isOff)
      keys.push_back(key);
  }
  llvm::sort(keys);
  if (!keys.empty())
    model.error() << "entry " << quoteName(keys.front())
                  << " of config.json asks for something that model_type '" << family
                  << "' does not do here";
}

//===------------------------------------------------------------------------------------------===//
// Rope
//===------------------------------------------------------------------------------------------===//

/// Adds the entries of `from` that are not null.
static void merge(const json::Object &from, json::Object &into) {
  for (auto &[key, value] : from)
    if (value.kind() != json::Value::Null)
      into[key] = value;
}

json::Object ConfigParameters::findRope(StringRef layerKind) {
  json::Object rope;
  bool isOfKind = false;
  for (StringRef key : {"rope_scaling", "rope_parameters"}) {
    known.insert(key);
    auto *value = config.get(key);
    auto *object = value ? value->getAsObject() : nullptr;
    if (value && !object && value->kind() != json::Value::Null)
      model.error() << "entry '" << key << "' of config.json is of type " << getTypeName(*value)
                    << ", expected an object";
    // Kinds of layers may have objects of their own.
    auto *ofKind = object ? object->getObject(layerKind) : nullptr;
    isOfKind |= ofKind != nullptr;
    if (object)
      merge(ofKind ? *ofKind : *object, rope);
  }
  // Older folders scale the layers without a window alone.
  if (auto base = find("rope.local_base"); layerKind == "sliding_attention" && !isOfKind) {
    rope.clear();
    if (base)
      rope["rope_theta"] = *base;
    return rope;
  }
  // They keep some of it beside the object, and say `type`.
  for (auto [role, key] :
       {std::pair("rope.base", "rope_theta"), std::pair("rope.share", "partial_rotary_factor"),
        std::pair("rope.trained", "original_max_position_embeddings")})
    if (auto value = find(role); value && !rope.get(key))
      rope[key] = *value;
  if (auto *type = rope.get("type")) {
    json::Value copy = *type;
    rope.try_emplace("rope_type", copy);
    rope.erase("type");
  }
  return rope;
}

double ConfigParameters::ropeNumber(const json::Object &rope, StringRef key,
                                    std::optional<double> fallback) {
  auto *value = rope.get(key);
  if (!value) {
    if (!fallback)
      model.error() << "entry '" << key << "' of rope in config.json is missing";
    return fallback.value_or(1);
  }
  auto number = value->getAsNumber();
  if (number && *number > 0 && std::isfinite(float(*number)))
    return *number;
  model.error() << "entry '" << key << "' of rope in config.json is "
                << llvm::formatv("{0}", *value).str() << ", expected a positive number";
  return 1;
}

/// Reports entries of the rope object beyond those that the type of scaling has.
static void checkRopeKeys(const json::Object &rope, StringRef type, StringRef allowed,
                          ModelBuilder &model) {
  llvm::SmallVector<StringRef> words;
  llvm::SplitString(allowed, words);
  for (auto &[key, value] : rope)
    if (!llvm::is_contained(words, StringRef(key)))
      model.error() << "entry " << quoteName(key)
                    << " of rope in config.json is not known to type '" << type << "'";
}

void ConfigParameters::scaleLongRope(RopeParameters &result, const json::Object &rope) {
  double longest = size("context_length");
  double trained = ropeNumber(rope, "original_max_position_embeddings", longest);
  double factor = ropeNumber(rope, "factor", longest / trained);
  double magnitude = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(trained));
  result.attentionFactor = ropeNumber(rope, "attention_factor", magnitude);
  int64_t context = contextAskedFor ? contextAskedFor : std::min(longest, 8192.0);
  StringRef key = context > trained ? "long_factor" : "short_factor";
  auto *factors = rope.getArray(key);
  if (!factors || int64_t(factors->size()) != result.dims / 2) {
    model.error() << "expected entry '" << key << "' of rope in config.json to be an array of "
                  << result.dims / 2 << " numbers";
    return;
  }
  for (const json::Value &value : *factors) {
    double number = value.getAsNumber().value_or(0);
    result.factors.push_back(float(number));
    if (!(number > 0))
      model.error() << "entry '" << key << "' of rope in config.json has an element that is not a "
                    << "positive number";
  }
}

void ConfigParameters::scaleRope(RopeParameters &result, const json::Object &rope, StringRef type) {
  double longest = size("context_length");
  auto number = [&](StringRef key, std::optional<double> fallback = std::nullopt) {
    return ropeNumber(rope, key, fallback);
  };
  auto allow = [&](const char *keys) {
    checkRopeKeys(rope, type, std::string("rope_type rope_theta partial_rotary_factor ") + keys,
                  model);
  };
  if (type == "default") {
    // The length that was trained is kept beside other types; here it says nothing.
    allow("original_max_position_embeddings");
  } else if (type == "linear") {
    allow("factor original_max_position_embeddings");
    scaleLinear(result, number("factor"));
  } else if (type == "dynamic") {
    allow("factor original_max_position_embeddings");
    double factor = number("factor");
    scaleDynamic(result, factor, longest, double(contextAskedFor));
    if (double(contextAskedFor) > longest)
      result.context = int64_t(std::min(factor * longest, double(sizeLimit)));
  } else if (type == "llama3") {
    allow("factor low_freq_factor high_freq_factor original_max_position_embeddings");
    scaleLlama3(result, {number("factor"), number("low_freq_factor"), number("high_freq_factor"),
                         number("original_max_position_embeddings", longest)});
  } else if (type == "yarn") {
    allow("factor attention_factor beta_fast beta_slow mscale mscale_all_dim truncate finetuned "
          "original_max_position_embeddings");
    YarnScaling yarn;
    yarn.trained = number("original_max_position_embeddings", longest);
    yarn.factor = number("factor", longest / yarn.trained);
    yarn.fast = number("beta_fast", yarn.fast), yarn.slow = number("beta_slow", yarn.slow);
    yarn.isTruncated = rope.getBoolean("truncate").value_or(true);
    scaleYarn(result, yarn);
    double magnitude = getYarnMagnitude(yarn.factor);
    if (rope.get("mscale") && rope.get("mscale_all_dim"))
      magnitude = getYarnMagnitude(yarn.factor, number("mscale")) /
                  getYarnMagnitude(yarn.factor, number("mscale_all_dim"));
    result.attentionFactor = number("attention_factor", magnitude);
    result.context =
        int64_t(std::min(std::max(longest, yarn.factor * yarn.trained), double(sizeLimit)));
  } else if (type == "longrope" || type == "su") {
    allow("factor attention_factor long_factor short_factor original_max_position_embeddings");
    scaleLongRope(result, rope);
  } else {
    model.error() << "rope scaling " << quoteName(type)
                  << " is not supported, only default, linear, dynamic, llama3, yarn and longrope";
  }
}

RopeParameters ConfigParameters::rope(int64_t headDim, const RopeDefaults &defaults) {
  json::Object rope = findRope(defaults.layerKind);
  RopeParameters result;
  result.base = ropeNumber(rope, "rope_theta", defaults.base);
  double share = ropeNumber(rope, "partial_rotary_factor", defaults.share);
  result.dims = int64_t(double(headDim) * share);
  if (share > 1 || result.dims < 2 || result.dims % 2)
    model.error() << "entry 'partial_rotary_factor' of config.json is " << share
                  << ", expected a share of the " << headDim
                  << " channels of a head that is an even number of them";
  else if (!model.hasFailed())
    scaleRope(result, rope, rope.getString("rope_type").value_or("default"));
  if (result.attentionFactor != 1 && result.dims != headDim)
    model.error() << "rope scaling with an attention factor is not supported for a part of the "
                     "channels of a head";
  return result;
}
