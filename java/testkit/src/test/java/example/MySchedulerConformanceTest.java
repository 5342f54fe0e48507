package example;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.testkit.SchedulerConformance;

class MySchedulerConformanceTest extends SchedulerConformance {
  @Override
  protected SchedulerFactory factory() {
    return new MySchedulerFactory();
  }
}
