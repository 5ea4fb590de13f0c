//===- ChooseSchedules.cpp - How products are cut into blocks and tiles -------------------------------===//
//
// Gives each compute region with products of weights the attribute `tile.schedule`: what was
// measured to be the best on the machine (the module's `tile.tuning`), else the candidate that the
// cost model (ingot/Kernels/CostModel.h) predicts to be the best there; where no machine is named,
// the default. The remark has the predictions of the chosen schedule and of the others.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/CostModel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "passes/Tile/Passes.h"
#include "llvm/Support/FormatVariadic.h"

namespace ingot::tile {
#define GEN_PASS_DEF_CHOOSESCHEDULES
#include "passes/Tile/Passes.h.inc"
} // namespace ingot::tile

using namespace mlir;
using namespace ingot;

namespace {

struct ChooseSchedules : tile::impl::ChooseSchedulesBase<ChooseSchedules> {
  using ChooseSchedulesBase::ChooseSchedulesBase;

  void runOnOperation() override {
    if (failed(readTuning()) || failed(readForced()))
      return signalPassFailure();
    getOperation()->walk([&](transformer::ComputeOp compute) {
      if (!compute->hasAttr(kernels::scheduleName))
        choose(compute);
    });
  }

private:
  LogicalResult readTuning() {
    Attribute attribute = getOperation()->getAttr(kernels::Tuning::attributeName);
    tuning = kernels::Tuning::getDefault();
    if (!attribute)
      return success();
    std::string reason = "expected 'tile.tuning' to be a dictionary";
    auto dictionary = dyn_cast<DictionaryAttr>(attribute);
    FailureOr<kernels::Tuning> read = failure();
    if (dictionary)
      read = kernels::Tuning::read(dictionary, reason);
    if (failed(read))
      return getOperation().emitError(reason);
    tuning = std::move(*read);
    isMeasured = true;
    return success();
  }

  LogicalResult readForced() {
    if (schedule.empty())
      return success();
    std::string reason;
    FailureOr<kernels::ProductSchedule> parsed = kernels::ProductSchedule::parse(schedule, reason);
    if (failed(parsed))
      return getOperation().emitError(reason);
    forced = *parsed;
    return success();
  }

  void choose(transformer::ComputeOp compute) {
    const kernels::Family *family = kernels::lookupFamily(compute.getKernel());
    kernels::Request request{compute, tile::Count::Tokens, 1, 1, {}, kernels::Machine::Cpu};
    std::string reason;
    if (!family || !family->products || failed(family->supports(request, reason)))
      return; // select-kernels says why
    SmallVector<kernels::ProductShape> shapes = family->products(request);
    set(compute, pick(compute, shapes));
    ++chosen;
  }

  kernels::ProductSchedule pick(transformer::ComputeOp compute,
                                ArrayRef<kernels::ProductShape> shapes) {
    std::string name = shapes.front().toText();
    if (forced) {
      report(compute, name + ": " + forced->toText() + ", as asked for");
      return *forced;
    }
    if (auto winner = tuning.winners.find(name); winner != tuning.winners.end()) {
      std::string text = name + ": " + winner->second.schedule.toText() +
                         ", the best of those measured on " + tuning.machine;
      for (auto [tokens, microseconds] : winner->second.microseconds)
        text += llvm::formatv(", {0} tokens {1:f1} us", tokens, microseconds);
      report(compute, text);
      return winner->second.schedule;
    }
    kernels::Choice choice = kernels::chooseSchedule(shapes, tuning);
    if (!isMeasured) // constants of another machine may mislead
      choice.chosen = 0;
    report(compute, describe(name, choice));
    return choice.candidates[choice.chosen].schedule;
  }

  /// The chosen schedule, then the others.
  std::string describe(const std::string &name, const kernels::Choice &choice) {
    const kernels::RatedSchedule &chosen = choice.candidates[choice.chosen];
    std::string text =
        name + ": " + chosen.schedule.toText() +
        (isMeasured ? "" : ", the default where no machine was measured (ingot tune)") +
        ", predicted us for";
    for (int64_t tokens : kernels::scheduleTokens)
      text += llvm::formatv(" {0}", tokens);
    text += " tokens:";
    auto add = [&](const kernels::RatedSchedule &rated) {
      for (double seconds : rated.seconds)
        text += llvm::formatv(" {0:f1}", 1e6 * seconds);
    };
    add(chosen);
    text += "; rejected:";
    for (auto [index, rated] : llvm::enumerate(choice.candidates)) {
      if (index == choice.chosen)
        continue;
      text += " " + rated.schedule.toText() + ":";
      add(rated);
      text += ";";
    }
    text.pop_back();
    return text;
  }

  void report(transformer::ComputeOp compute, const std::string &text) {
    remark::passed(compute.getLoc(), remark::RemarkOpts::name("ChooseSchedules").category("tile"))
        << remark::add("{0}", text);
  }

  void set(transformer::ComputeOp compute, const kernels::ProductSchedule &schedule) {
    compute->setDiscardableAttr(kernels::scheduleName, schedule.toAttribute(&getContext()));
  }

  kernels::Tuning tuning;
  bool isMeasured = false; ///< the tuning is of a machine
  std::optional<kernels::ProductSchedule> forced;
};

} // namespace
