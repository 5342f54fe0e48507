package dev.weir.engine;

import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/**
 * First come, first served, until the call of {@code arrived}, {@code plan} or {@code departed}
 * whose number the option of that name is, which throws after it has done its work. Plans that are
 * empty do not count.
 */
public final class FailingSchedulerFactory implements SchedulerFactory {
  private static final Set<String> METHODS = Set.of("arrived", "plan", "departed");

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
    config.options().rejectUnknown(name(), METHODS);
    Map<String, Integer> callsLeft = new HashMap<>();
    for (String method : METHODS) {
      callsLeft.put(
          method, config.options().getInt(method, Integer.MAX_VALUE, 1, Integer.MAX_VALUE));
    }
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
      private void called(String method) {
        if (callsLeft.merge(method, -1, Integer::sum) == 0) {
          throw new IllegalStateException("injected failure");
        }
      }

      @Override
      public void arrived(Request request, double now) {
        fcfs.arrived(request, now);
        called("arrived");
      }

      @Override
      public void plan(IterationPlan plan) {
        fcfs.plan(plan);
        if (plan.size() > 0) {
          called("plan");
        }
      }

      @Override
      public void departed(Request request, double now) {
        fcfs.departed(request, now);
        called("departed");
      }
    };
  }
}
