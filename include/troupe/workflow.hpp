#pragma once

/// Directed graphs of tasks: build, read from files, analyse. No CAF.

#include "troupe/workflow/analysis.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/dag_builder.hpp"
#include "troupe/workflow/file.hpp"
#include "troupe/workflow/report.hpp"
#include "troupe/workflow/types.hpp"
