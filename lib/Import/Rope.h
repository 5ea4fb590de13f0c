//===- Rope.h - Published scalings of rotary embedding ----------------------------------------===//
//
// What stretches the frequencies of rotary embedding beyond the context that a model was trained
// with, reduced to numbers that divide the frequencies (and a factor on the scores). Scalings that
// depend on the length of the text (dynamic, longrope) are fixed for one context at compile time.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_IMPORT_ROPE_H
#define INGOT_LIB_IMPORT_ROPE_H

#include "DenseBuilder.h"

namespace ingot::import {

/// All frequencies divided by `factor`.
void scaleLinear(RopeParameters &rope, double factor);

/// The base grows with the context, once that is longer than the trained one.
void scaleDynamic(RopeParameters &rope, double factor, double trained, double context);

/// Llama 3.1: long waves are divided by `factor`, short ones stay, between them a ramp.
struct Llama3Scaling {
  double factor, lowFactor, highFactor, trained;
};
void scaleLlama3(RopeParameters &rope, const Llama3Scaling &scaling);

/// YaRN: channels that turn often in the trained context stay, those that turn seldom are divided.
struct YarnScaling {
  double factor, trained, fast = 32, slow = 1;
  bool isTruncated = true;
};
void scaleYarn(RopeParameters &rope, const YarnScaling &scaling);
/// 1 + 0.1 weight ln(factor), 1 for factors up to 1.
double getYarnMagnitude(double factor, double weight = 1);

} // namespace ingot::import

#endif // INGOT_LIB_IMPORT_ROPE_H
