"""The recipe's example invocation as it stands."""

EXAMPLE = """\
```bash
# Phase 1: Parallel Baseline Analysis
/agent:performance
Analyze /api/dashboard endpoint:
- Current response time: 1.2s average
- Load test with 100 concurrent users
- Profile database queries
- Memory usage patterns
- CPU utilization

/agent:memory-sync
Capture current dashboard implementation architecture

# Phase 2: Optimization Design
/agent:architect
Design optimizations for dashboard API:
Baseline: 1.2s response, 15 DB queries, 50MB memory
Target: <300ms response, <5 queries, <20MB memory
Constraints: No breaking changes, maintain real-time data

# Phase 3: Implementation
/agent:coder
Implement dashboard optimizations:
1. Add Redis caching for user preferences
2. Implement query batching for widgets
3. Add database indexes on frequently queried columns
4. Implement response compression
5. Optimize JSON serialization

[Include specific code examples]

# Phase 4: Parallel Validation
/agent:performance
Validate optimizations:
- New response time measurement
- Load test with 200 concurrent users
- Compare before/after metrics

/agent:tester
Regression testing:
- All dashboard features working
- Data accuracy maintained
- Edge cases handled
```
"""
