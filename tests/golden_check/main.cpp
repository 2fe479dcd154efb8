// Recomputes recorded numbers of other projects with the library and compares. See tests/golden/README.md.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "families.hpp"

namespace {

using namespace golden;

constexpr const char* usage =
    "usage: golden_check [--skip-unsupported] [--verbose] FILE...\n"
    "Recomputes golden files with the library and compares.\n"
    "  --skip-unsupported  files with unknown families, kinds or options are skipped instead of failing\n"
    "  --verbose           print every comparison\n"
    "Exit status: 0 all passed, 1 a file failed or is unsupported, 2 wrong usage.\n";

enum class outcome { passed, failed, unsupported };

void check(const record& file, report& result) {
  const std::string family = file.text("family");
  if (family == "schedule") return check_schedule(file, result);
  if (family == "respacing") return check_respacing(file, result);
  if (family == "timestep_grid") return check_timestep_grid(file, result);
  if (family == "forward") return check_forward(file, result);
  if (family == "posterior") return check_posterior(file, result);
  if (family == "parameterization") return check_parameterization(file, result);
  if (family == "p_mean_variance") return check_p_mean_variance(file, result);
  if (family == "embedding") return check_embedding(file, result);
  if (family == "loss_weight") return check_loss_weight(file, result);
  if (family == "preconditioning") return check_preconditioning(file, result);
  if (family == "timestep_sampler") return check_timestep_sampler(file, result);
  if (family == "log_likelihood") return check_log_likelihood(file, result);
  if (family == "rng") return check_random_numbers(file, result);
  if (family == "sampler") return check_sampler(file, result);
  if (family == "noise_schedule_sigmas") return check_noise_schedule_sigmas(file, result);
  if (family == "training_sigmas") return check_training_sigmas(file, result);
  if (family == "fid") return check_fid(file, result);
  if (family == "inception_score") return check_inception_score(file, result);
  if (family == "elbo") return check_elbo(file, result);
  throw unsupported("family \"" + family + '"');
}

outcome check_file(const std::string& file_name, bool verbose) {
  const std::string name = std::filesystem::path(file_name).stem().string();
  const auto print = [&](const char* verdict, const std::string& detail) {
    std::printf("%-11s %-45s %s\n", verdict, name.c_str(), detail.c_str());
  };
  report result(verbose);
  try {
    const json document = read_json(file_name);
    check(record(document, ""), result);
  } catch (const unsupported& reason) {
    print("unsupported", reason.what());
    return outcome::unsupported;
  } catch (const std::exception& error) {
    print("fail", error.what());
    return outcome::failed;
  }
  if (!result.failure().empty()) {
    print("fail", result.failure());
    return outcome::failed;
  }
  char error[40];
  std::snprintf(error, sizeof error, "largest error %.1e", result.largest_error());
  print("pass", error);
  return outcome::passed;
}

}  // namespace

int main(int argc, char** argv) {
  bool skip_unsupported = false;
  bool verbose = false;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--skip-unsupported") {
      skip_unsupported = true;
    } else if (argument == "--verbose") {
      verbose = true;
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "golden_check: unknown option %s\n%s", argv[i], usage);
      return 2;
    } else {
      files.emplace_back(argument);
    }
  }
  if (files.empty()) {
    std::fputs(usage, stderr);
    return 2;
  }
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const std::string& file : files) {
    const outcome result = check_file(file, verbose);
    if (result == outcome::passed)
      ++passed;
    else if (result == outcome::unsupported && skip_unsupported)
      ++skipped;
    else
      ++failed;
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}
