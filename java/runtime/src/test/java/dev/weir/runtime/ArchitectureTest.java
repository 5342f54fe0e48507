package dev.weir.runtime;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

@AnalyzeClasses(packages = "dev.weir.runtime", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
  private static final String FFI = "dev.weir.runtime.internal.ffi";

  @ArchTest
  static final ArchRule onlyTheBindingTouchesForeignMemory =
      noClasses()
          .that()
          .resideOutsideOfPackage(FFI)
          .should()
          .dependOnClassesThat()
          .resideInAPackage("java.lang.foreign..");

  @ArchTest
  static final ArchRule theBindingKnowsNothingOfThePublicApi =
      noClasses()
          .that()
          .resideInAPackage(FFI)
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.weir.runtime");

  /**
   * Guards the two rules above against a renamed package, which would leave them nothing to check.
   */
  @ArchTest
  static final ArchRule theBindingIsWhereItIsSaidToBe =
      classes()
          .that()
          .haveSimpleName("Functions")
          .should()
          .resideInAPackage(FFI)
          .andShould()
          .dependOnClassesThat()
          .resideInAPackage("java.lang.foreign..");
}
