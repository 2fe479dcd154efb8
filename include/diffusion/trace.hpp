#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "diffusion/run_plan.hpp"

namespace diffusion {

/// A vector of a run that is only known as a weighted sum of states, predictions and noise. Samplers
/// calculate with it as their papers do with arrays.
class traced {
 public:
  traced() = default;  ///< zero

  friend traced operator+(traced a, const traced& b) {
    for (const term& t : b.terms_) a.add(t.id, t.weight);
    return a;
  }
  friend traced operator*(double weight, traced a) {
    for (term& t : a.terms_) t.weight *= weight;
    return a;
  }
  friend traced operator-(const traced& a, const traced& b) { return a + -1.0 * b; }
  traced& operator+=(const traced& b) { return *this = std::move(*this) + b; }

 private:
  friend class trace;
  struct term {
    std::size_t id;
    double weight;
  };
  explicit traced(std::size_t id) : terms_{{id, 1}} {}
  void add(std::size_t id, double weight) {
    for (term& t : terms_)
      if (t.id == id) return void(t.weight += weight);
    terms_.push_back({id, weight});
  }
  std::vector<term> terms_;
};

/// Records a run as its sampler writes it down, and lays it out in stages and memory slots. The sampler reads
/// like its paper:
///
///     trace run(path);                                        // Heun's method, in y = x for α = 1
///     traced x = run.x();
///     for (const auto& [from, to, eval] : path) {
///       const double h = to.level.sigma - from.level.sigma;
///       const traced d = run.ask(x, from).epsilon;            // the network sees x
///       const traced start = run.keep(x + 0.5 * h * d);       // one vector of memory instead of two
///       x += h * d;
///       x = start + 0.5 * h * run.ask(x, to).epsilon;
///       run.arrive(x, to);                                    // the step is done
///     }
///     return run.finish();
///
/// What a later stage needs of an earlier one (a prediction, a state, noise, a kept sum) takes a slot of
/// memory from the one to the other.
class trace {
 public:
  explicit trace(const run_path& path) : here_(path.point(0)) { open(); }

  /// The state.
  [[nodiscard]] traced x() const { return traced(id_of(state)); }

  struct prediction {
    traced x0;       ///< x̂0 after its transform
    traced epsilon;  ///< ε̂ as the network has it, before the transform
  };
  /// Asks the network about x at the given point. x now stands for the state that the network has seen. A
  /// statement of its own: x() and noise() are those of the stage that it begins.
  prediction ask(traced& x, const path_point& at) {
    if (!is_state(x)) move(x, at, false);
    if (stages_.back().asks) move(x, at, false);
    stages_.back().asks = true;
    stages_.back().from = stages_.back().eval = at;  // x counts as a state of that level
    x = traced(id_of(state));
    return {traced(id_of(x0)), traced(id_of(epsilon))};
  }

  /// Standard normal noise z, one draw per stage: stages begin where the network is asked and after arrive().
  [[nodiscard]] traced noise() const { return traced(id_of(z)); }

  /// The same vector, as one that is remembered as such where later stages use it: one slot for a sum instead
  /// of one for each of its terms.
  [[nodiscard]] traced keep(const traced& value) {
    kept_.push_back({stages_.size() - 1, value});
    return traced(first_kept + kept_.size() - 1);
  }

  /// x has arrived at a point of the path: the end of a step, where runs are shown, saved and interrupted.
  void arrive(traced& x, const path_point& at) {
    move(x, at, true);
    x = traced(id_of(state));
  }

  /// The run as it was written down.
  [[nodiscard]] run_plan finish();

 private:
  enum basis : std::size_t { state, x0, epsilon, z };
  static constexpr std::size_t first_kept = std::size_t{1} << (8 * sizeof(std::size_t) - 1);

  struct stage {
    path_point from, to, eval;
    bool asks = false;
    bool arrives = false;
    traced next;
  };
  struct kept_value {
    std::size_t stage;
    traced value;
  };

  [[nodiscard]] std::size_t id_of(basis b) const { return 4 * (stages_.size() - 1) + b; }
  [[nodiscard]] std::size_t stage_of(std::size_t id) const {
    return id >= first_kept ? kept_[id - first_kept].stage : id / 4;
  }
  [[nodiscard]] bool is_state(const traced& x) const {
    return x.terms_.size() == 1 && x.terms_[0].id == id_of(state) && x.terms_[0].weight == 1;
  }
  void open() { stages_.push_back({here_, here_, here_, false, false, {}}); }
  void move(const traced& x, const path_point& to, bool arrives) {
    stages_.back().to = to;
    stages_.back().arrives = arrives;
    stages_.back().next = x;
    here_ = to;
    open();
  }

  /// value in terms of stage k: kept sums of the same stage are written out.
  [[nodiscard]] traced in_stage(std::size_t k, const traced& value) const {
    traced sum;
    for (const auto& [id, weight] : value.terms_) {
      if (weight == 0) continue;
      if (id >= first_kept && kept_[id - first_kept].stage == k)
        sum += weight * in_stage(k, kept_[id - first_kept].value);
      else
        sum.add(id, weight);
    }
    return sum;
  }
  /// What one of stage k's own vectors, or a sum that it keeps, is in terms of stage k.
  [[nodiscard]] traced definition(std::size_t k, std::size_t id) const { return in_stage(k, traced(id)); }

  path_point here_;
  std::vector<stage> stages_;
  std::vector<kept_value> kept_;
};

inline run_plan trace::finish() {
  stages_.pop_back();  // opened by the last arrive()
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  const std::size_t own_ids = 4 * stages_.size();
  const auto index = [&](std::size_t id) { return id >= first_kept ? own_ids + (id - first_kept) : id; };
  const auto id_at = [&](std::size_t i) { return i < own_ids ? i : first_kept + (i - own_ids); };

  // Backwards: which vector is needed until which stage.
  std::vector<std::size_t> last_use(own_ids + kept_.size(), none);
  const auto use = [&](std::size_t k, const traced& sum) {
    for (const auto& t : sum.terms_)
      if (stage_of(t.id) != k && last_use[index(t.id)] == none) last_use[index(t.id)] = k;
  };
  std::vector<std::vector<std::size_t>> kept_by(stages_.size());
  for (std::size_t i = 0; i < kept_.size(); ++i) kept_by[kept_[i].stage].push_back(own_ids + i);
  for (std::size_t k = stages_.size(); k-- > 0;) {
    stages_[k].next = in_stage(k, stages_[k].next);
    use(k, stages_[k].next);
    for (const std::size_t i : kept_by[k])
      if (last_use[i] != none) use(k, definition(k, id_at(i)));
  }

  // Forwards: a slot from the stage that makes a vector to the last that reads it.
  run_plan plan;
  plan.stages.reserve(stages_.size());
  std::vector<std::size_t> slot_of(last_use.size(), none);
  std::vector<std::size_t> free;
  std::vector<std::size_t> held;
  const auto resolved = [&](std::size_t k, const traced& sum) {
    stage_sum result;
    for (const auto& [id, weight] : sum.terms_) {
      if (weight == 0) continue;
      if (stage_of(id) != k) {
        result.past.push_back({slot_of[index(id)], weight});
      } else {
        double* const now[] = {&result.now.x, &result.now.x0, &result.now.epsilon, &result.now.noise};
        *now[id % 4] += weight;
      }
    }
    return result;
  };
  for (std::size_t k = 0; k < stages_.size(); ++k) {
    const stage& s = stages_[k];
    run_stage out{.from = s.from,
                  .to = s.to,
                  .eval = s.eval,
                  .asks = s.asks,
                  .arrives = s.arrives,
                  .next = resolved(k, s.next),
                  .keep = {}};
    std::vector<std::size_t> made;
    for (std::size_t b = 0; b < 4; ++b)
      if (last_use[4 * k + b] != none) made.push_back(4 * k + b);
    for (const std::size_t i : kept_by[k])
      if (last_use[i] != none) made.push_back(i);
    for (const std::size_t i : made) out.keep.push_back({none, resolved(k, definition(k, id_at(i)))});
    // Slots that this stage reads for the last time may take what it makes.
    std::erase_if(held, [&](std::size_t i) {
      if (last_use[i] > k) return false;
      free.push_back(slot_of[i]);
      return true;
    });
    for (std::size_t m = 0; m < made.size(); ++m) {
      if (free.empty()) free.push_back(plan.slots++);
      out.keep[m].slot = slot_of[made[m]] = free.back();
      free.pop_back();
      held.push_back(made[m]);
    }
    plan.stages.push_back(std::move(out));
  }
  return plan;
}

}  // namespace diffusion
