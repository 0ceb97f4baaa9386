#pragma once

/// Runs workflows on workers: submit, watch, retry, survive the loss of a worker or of the
/// scheduler.

#include "troupe/core/caf/init.hpp"
#include "troupe/scheduler/cron.hpp"
#include "troupe/scheduler/exec.hpp"
#include "troupe/scheduler/messages.hpp"
#include "troupe/scheduler/scheduler_service.hpp"
#include "troupe/scheduler/submission.hpp"
#include "troupe/scheduler/task_call.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/scheduler/types.hpp"
#include "troupe/scheduler/worker.hpp"
#include "troupe/scheduler/worker_core.hpp"
#include "troupe/scheduler/workflow_client.hpp"
