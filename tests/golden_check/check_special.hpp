#pragma once

#include "record.hpp"
#include "report.hpp"

namespace golden {

// Samplers that are no fixed plan of coefficients: a whole file of family "sampler" each.

void check_dpm_adaptive(const record& file, report& result);
/// Kinds score_sde_ve and score_sde_vp.
void check_score_sde(const record& file, report& result);
void check_repaint(const record& file, report& result);

}  // namespace golden
