package example;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import java.util.Set;

/** Makes {@code my-scheduler}. */
public final class MySchedulerFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "my-scheduler";
  }

  @Override
  public String description() {
    return "first come, first served";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of());
    return new MyScheduler(config);
  }
}
