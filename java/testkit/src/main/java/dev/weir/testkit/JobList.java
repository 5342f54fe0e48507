package dev.weir.testkit;

import dev.weir.testkit.VirtualDriver.Job;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.Queue;

/** Jobs that are known beforehand. */
final class JobList implements Arrivals {
  private final Queue<Job> jobs;

  JobList(Collection<Job> jobs) {
    this.jobs =
        new ArrayDeque<>(
            jobs.stream().sorted(Comparator.comparingDouble(Job::arrivalTime)).toList());
  }

  @Override
  public Job next(double now, int alive, int iteration) {
    Job job = jobs.peek();
    return job == null || job.arrivalTime() > now ? null : jobs.remove();
  }

  @Override
  public double nextTime(double now, int alive) {
    return jobs.isEmpty() ? Double.POSITIVE_INFINITY : jobs.element().arrivalTime();
  }

  @Override
  public boolean exhausted() {
    return jobs.isEmpty();
  }
}
