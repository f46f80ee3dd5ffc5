#!/usr/bin/env bash
# Start, or stop, a Slurm of one node on this machine, for tests: no systemd, no accounting.
# Needs root and Debian's slurmctld, slurmd, slurm-client and munge; writes /etc/slurm/slurm.conf.
#
# usage: slurm.sh start | stop
set -euo pipefail

STATE=/var/tmp/localspec-slurm

start() {
    mkdir -p "$STATE/controller" "$STATE/node" /etc/slurm /run/munge
    local cpus memory host
    cpus=$(nproc)
    memory=$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
    host=$(hostname -s)
    grep -qw "$host" /etc/hosts || echo "127.0.0.1 $host" >>/etc/hosts
    cat >/etc/slurm/slurm.conf <<CONF
ClusterName=localspec
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$STATE/controller
SlurmdSpoolDir=$STATE/node
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
NodeName=$host CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=local Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    chown munge: /run/munge /var/log/munge /var/lib/munge /etc/munge
    pgrep -x munged >/dev/null || su -s /bin/sh munge -c munged
    slurmctld
    slurmd -N "$host"
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && return
        sleep 1
    done
    echo "the node is not idle after a minute: $(sinfo --noheader 2>&1)" >&2
    tail -n 20 "$STATE"/*.log >&2
    exit 1
}

stop() {
    local name
    for name in slurmd slurmctld; do
        [ -f "$STATE/$name.pid" ] && kill "$(cat "$STATE/$name.pid")" 2>/dev/null
    done
    for name in slurmd slurmctld; do
        while pgrep --runstates R,S,D -x "$name" >/dev/null; do sleep 0.2; done
    done
    rm -rf "$STATE"
}

case "${1:-}" in
    start | stop) "$1" ;;
    *)
        echo "usage: slurm.sh start | stop" >&2
        exit 2
        ;;
esac
