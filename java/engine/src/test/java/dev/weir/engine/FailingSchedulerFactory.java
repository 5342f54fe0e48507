package dev.weir.engine;

import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import java.util.Set;

/** First come, first served, until the plan number {@code plans}, which throws. */
public final class FailingSchedulerFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "failing";
  }

  @Override
  public String description() {
    return "throws";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of("plans"));
    int plans = config.options().getInt("plans", 1, 1, Integer.MAX_VALUE);
    Scheduler fcfs =
        Schedulers.create(
            "fcfs",
            new SchedulerConfig(
                config.memory(),
                config.limits(),
                config.preemption(),
                config.cost(),
                config.workload(),
                SchedulerOptions.none()));
    return new Scheduler() {
      private int planned;

      @Override
      public void arrived(Request request, double now) {
        fcfs.arrived(request, now);
      }

      @Override
      public void plan(IterationPlan plan) {
        fcfs.plan(plan);
        if (plan.size() > 0 && ++planned == plans) {
          throw new IllegalStateException("injected failure");
        }
      }

      @Override
      public void departed(Request request, double now) {
        fcfs.departed(request, now);
      }
    };
  }
}
